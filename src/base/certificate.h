/* Which certificate is meant.  Plain values; any thread. */
#ifndef BASE_CERTIFICATE_H
#define BASE_CERTIFICATE_H

#include <stdbool.h>

/* A file, or what one in the folder of certificates must be like: its fingerprint, or its issuer
 * and subject.  All NULL: none is meant. */
struct certificate_choice {
    char *certificate_file, *key_file; /* PEM, chain included; key NULL: in the same file */
    char *fingerprint;                 /* "sha256:HEX" or "sha1:HEX", in small letters */
    char *issuer, *subject;            /* distinguished names: base/dn.h */
};

bool certificate_is_meant(const struct certificate_choice *choice);

/* It is found in the folder. */
bool certificate_is_chosen(const struct certificate_choice *choice);

/* As the configuration has it; cut. */
enum { CERTIFICATE_TEXT_BYTES = 1024 };
void certificate_choice_format(
    const struct certificate_choice *choice, char out[CERTIFICATE_TEXT_BYTES]);

/* KIND, "sha256:" or "sha1:", and its hex digits, which may have colons between them, as openssl(1)
 * prints them; OUT has small letters and no colons. */
enum { FINGERPRINT_BYTES = 72 };
bool fingerprint_parse(const char *text, const char *kind, char out[FINGERPRINT_BYTES]);

#endif
