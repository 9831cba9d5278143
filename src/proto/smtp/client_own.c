/* Replies that we make ourselves, when the peer was not asked or did not answer. */
#include "proto/smtp/client_engine.h"

const struct smtp_reply client_own_size = { 552, { 5, 3, 4 },
    "message is larger than the next host takes", true };
const struct smtp_reply client_own_sender = { 553, { 5, 1, 7 }, "sender cannot be sent on",
    true };
const struct smtp_reply client_own_recipient = { 553, { 5, 1, 3 },
    "recipient cannot be sent on", true };
const struct smtp_reply client_own_sender_ascii = { 553, { 5, 6, 7 },
    "sender needs SMTPUTF8, which the next host does not offer", true };
const struct smtp_reply client_own_recipient_ascii = { 553, { 5, 6, 7 },
    "recipient needs SMTPUTF8, which the next host does not offer", true };
const struct smtp_reply client_own_header_ascii = { 554, { 5, 6, 9 },
    "header needs SMTPUTF8, which the next host does not offer", true }; /* RFC 6531, 3.5 */
const struct smtp_reply client_own_binary = { 554, { 5, 6, 1 },
    "content needs BINARYMIME, which the next host does not offer", true };
const struct smtp_reply client_own_too_many = { 452, { 4, 5, 3 },
    "more recipients than the next host takes at once", true };
const struct smtp_reply client_own_no_tls = { 451, { 4, 7, 4 },
    "TLS is required, and the next host does not offer it", true };
const struct smtp_reply client_own_no_auth = { 454, { 4, 7, 0 },
    "AUTH is required, and the next host offers no way that may be used", true };
const struct smtp_reply client_own_unproved = { 454, { 4, 7, 0 },
    "the next host did not prove that it knows the password", true };
const struct smtp_reply client_own_early_tls = { 451, { 4, 7, 0 },
    "the next host sent plain text behind its reply to STARTTLS", true };
const struct smtp_reply client_own_protocol = { 451, { 4, 5, 0 },
    "the next host broke the protocol", true };
const struct smtp_reply client_own_lost = { 451, { 4, 4, 2 }, "lost connection", true };
const struct smtp_reply client_own_in_doubt = { 451, { 4, 4, 2 },
    "lost connection after end of data: maybe delivered", true };
