/* Complaints as text, and files to read. */
#ifndef TESTS_DIRECTORY_KIT_H
#define TESTS_DIRECTORY_KIT_H

#include "kit.h"

#include "directory/directory.h"

/* The complaints as lines "LINE: text", warnings as "LINE? text"; hints with FULL. */
void list_complaints(const struct complaints *complaints, bool full, char out[8000]);
/* WANT: parts with ~ between them, which GOT must have in this order. */
void check_parts(const char *name, const char *got, const char *want);

void write_file(const char *folder, const char *name, const char *text);
void remove_file(const char *folder, const char *name);

#endif
