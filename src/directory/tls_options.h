/* Options about TLS, of both kinds of connectors: inside of directory/.  Main loop's thread. */
#ifndef DIRECTORY_TLS_OPTIONS_H
#define DIRECTORY_TLS_OPTIONS_H

#include "directory/option.h"

/* certificate_choice.c.  As read_file(), of the value number AT; the second takes a fingerprint or names as well. */
void read_file_of_list(struct reader *reader, const struct option *option,
    const struct config_item *item, size_t at, char **into);
void read_choice_of_list(struct reader *reader, const struct option *option,
    const struct config_item *item, size_t at, struct certificate_choice *choice);
void read_choice_of_certificate(
    struct reader *, const struct option *, const struct config_item *, void *);

/* "1.0" to "1.3" into a uint8_t. */
void read_tls_version(
    struct reader *, const struct option *, const struct config_item *, void *);

/* Into a struct receive_connector. */
void read_certificates(
    struct reader *, const struct option *, const struct config_item *, void *);
void read_keys(struct reader *, const struct option *, const struct config_item *, void *);
void read_client_certificate(
    struct reader *, const struct option *, const struct config_item *, void *);
void read_client_fingerprints(
    struct reader *, const struct option *, const struct config_item *, void *);
void check_receive_tls(struct reader *reader, const struct receive_connector *connector,
    const struct config_item *block);

/* Into a struct send_connector. */
void read_send_tls(struct reader *, const struct option *, const struct config_item *, void *);
void read_tls_policy(
    struct reader *, const struct option *, const struct config_item *, void *);
void read_tls_fingerprints(
    struct reader *, const struct option *, const struct config_item *, void *);
void check_send_tls(struct reader *reader, const struct send_connector *connector,
    const struct config_item *block);

/* Whether something is wrong already with what BLOCK says of certificates: there is no more to be
 * said of their files. */
bool tls_has_faults(const struct reader *reader, const struct config_item *block);

/* Once all is read: DANE without DNSSEC; certificates that cannot be used, that end soon, that
 * are for another name. */
void check_tls(struct reader *reader);

/* tls_check.c: of what check_tls() does, all that opens files. */
void check_certificates(struct reader *reader);

#endif
