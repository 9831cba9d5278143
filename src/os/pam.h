/* Passwords that PAM knows.  Any thread; it may block for seconds. */
#ifndef OS_PAM_H
#define OS_PAM_H

enum pam_result {
    PAM_IS_RIGHT,
    PAM_IS_WRONG,   /* the name, the password, or the account may not be used */
    PAM_IS_TROUBLE, /* PAM cannot say now */
};

/* SERVICE: a file of /etc/pam.d.  FROM: the client's address, for modules that log or limit. */
enum pam_result pam_check(
    const char *service, const char *user, const char *password, const char *from);

#endif
