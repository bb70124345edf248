/* shared/daemon_args.h - the command line that both daemons have. */
#ifndef SHARED_DAEMON_ARGS_H
#define SHARED_DAEMON_ARGS_H
#include "shared/opt.h"

enum daemon_task {
    TASK_RUN,
    TASK_CHECK,
    TASK_DUMP,
    TASK_VERSION,
    TASK_HELP,
    TASK_SAMPLE, /* --help=sample and --help=manual: what the repository's files are made of */
    TASK_MANUAL,
    TASK_USAGE /* the arguments were wrong, and stderr says how */
};

struct daemon_args {
    enum daemon_task task;
    const char *conf_path;
};

void daemon_args_read(struct daemon_args *args, int argc, char **argv, const struct opt_schema *schema);
void daemon_args_help(struct buf *out, const struct opt_schema *schema);
#endif
