/* A scratch folder for logs: made before a group of tests, removed with its files behind it. */
#ifndef RELAIS_TESTS_UNIT_REPORT_FOLDER_H
#define RELAIS_TESTS_UNIT_REPORT_FOLDER_H

/* Of a file in it; good until the fourth call from now. */
char *path_of(const char *name);

int scratch_make(void **state);
int scratch_remove(void **state);

#endif
