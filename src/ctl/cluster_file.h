/* The other nodes as files: cluster.d/NAME.conf beside relais.conf, one for each.  Blocking. */
#ifndef CTL_CLUSTER_FILE_H
#define CTL_CLUSTER_FILE_H

#include "base/bytes.h"

#define CLUSTER_FOLDER "cluster.d"
#define CLUSTER_INCLUDE "include(\"" CLUSTER_FOLDER "/*.conf\")"

/* A host name that may be the name of a file. */
bool cluster_name_is_good(const char *name);

struct cluster_paths {
    char *config; /* without symbolic links: so that an include by any way is recognised */
    char *folder, *file;
};
/* Where the node called NAME has its file.  False: no such configuration (errno). */
bool cluster_paths_init(const char *config_file, const char *name, struct cluster_paths *out);
void cluster_paths_done(struct cluster_paths *paths);

/* Whether the configuration reads the files of that folder. */
bool cluster_folder_is_included(const char *config_file);

#endif
