/* shared/file.h - files that are read whole and written so that a kill at any moment leaves old or new, never half. */
#ifndef SHARED_FILE_H
#define SHARED_FILE_H
#include "shared/buf.h"
#include "shared/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Adds the content to out; refuses folders and what is larger than max bytes. */
must_check int file_read(const char *path, size_t max, struct buf *out, struct err *e);
/* Writes a temporary file beside path, syncs it, renames it over path, and syncs the folder. */
must_check int file_write(const char *path, const void *bytes, size_t n, mode_t mode, struct err *e);
/* To a descriptor that blocks. -1 with errno. */
must_check int file_write_all(int fd, const char *bytes, size_t n);
/* What was made, renamed or removed in the folder is on disk afterwards. */
must_check int file_sync_folder(const char *folder, struct err *e);
/* A secret may be read by its owner alone (0600 or less), or also by our own group (0640). */
must_check int file_check_secret(const char *path, struct err *e);
/* Makes the folder itself, not its parents, when it is missing; an existing one must be a folder. */
must_check int file_make_folder(const char *path, mode_t mode, struct err *e);
/* What of stdin, stdout and stderr is closed is /dev/null from now on: or whatever is opened first would take its number,
 * and be written to. For the very beginning of a process. */
void file_hold_standard(void);
/* "pid 123 (sshd)" for messages about who holds something; "pid 123" when the kernel does not tell the name. */
void file_describe_process(pid_t pid, char *out, size_t room);
#endif
