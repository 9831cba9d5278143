#include "ctl/cluster_file.h"

#include "base/mem.h"
#include "directory/directory.h"
#include "mail/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cluster_name_is_good(const char *name)
{
    return domain_is_name(bytes_text(name)) && !strchr(name, '/') && name[0] != '.';
}

void cluster_paths_done(struct cluster_paths *paths)
{
    free(paths->config);
    free(paths->folder);
    free(paths->file);
}

bool cluster_paths_init(const char *config_file, const char *name, struct cluster_paths *out)
{
    size_t folder_n, n;
    const char *slash;

    *out = (struct cluster_paths){ .config = realpath(config_file, NULL) };
    if (!out->config)
        return false;
    slash = strrchr(out->config, '/');
    folder_n = (size_t)(slash - out->config) + sizeof "/" CLUSTER_FOLDER;
    n = folder_n + strlen(name) + sizeof "/.conf";
    out->folder = mem_new(folder_n);
    out->file = mem_new(n);
    snprintf(
        out->folder, folder_n, "%.*s/" CLUSTER_FOLDER, (int)(slash - out->config), out->config);
    n = (size_t)snprintf(out->file, n, "%s/", out->folder);
    for (size_t i = 0; name[i]; i++) /* names compare without case, and files with it */
        out->file[n + i] = (char)ascii_lower((uint8_t)name[i]);
    memcpy(out->file + n + strlen(name), ".conf", sizeof ".conf");
    return true;
}

bool cluster_folder_is_included(const char *config_file)
{
    struct directory_change change = { .text = BYTES_NONE };
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;
    struct cluster_paths paths;

    if (!cluster_paths_init(config_file, "any.example", &paths))
        return false;
    change.file = paths.file;
    err_ignore(directory_read(
        &(struct directory_query){ paths.config, &change, true }, &settings, &complaints));
    complaints_done(&complaints);
    settings_free(settings);
    cluster_paths_done(&paths);
    return change.was_read;
}
