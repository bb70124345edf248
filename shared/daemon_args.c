#include "shared/daemon_args.h"

#include "shared/buf.h"
#include "shared/opt_print.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static enum daemon_task wrong_usage(const struct opt_schema *schema, const char *what, const char *which)
{
    fprintf(stderr, "%s: %s%s; try: %s --help\n", schema->program, what, which, schema->program);
    return TASK_USAGE;
}

static enum daemon_task help_task(const struct opt_schema *schema, const char *form)
{
    if (!form)
        return TASK_HELP;
    if (strcmp(form, "sample") == 0)
        return TASK_SAMPLE;
    if (strcmp(form, "manual") == 0)
        return TASK_MANUAL;
    return wrong_usage(schema, "--help knows the forms sample and manual, not ", form);
}

/* Two tasks at once cannot both be meant. */
static enum daemon_task joined(const struct opt_schema *schema, enum daemon_task before,
                               enum daemon_task next)
{
    if (before == TASK_USAGE || before == next)
        return before;
    return before == TASK_RUN ? next
                              : wrong_usage(schema, "only one of --check, --dump, --version, --help", "");
}

void daemon_args_read(struct daemon_args *args, int argc, char **argv, const struct opt_schema *schema)
{
    static const struct option known[] = {
        { "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'k' },
        { "dump", no_argument, NULL, 'd' },         { "version", no_argument, NULL, 'v' },
        { "help", optional_argument, NULL, 'h' },   { 0 }
    };
    int given;

    *args = (struct daemon_args){ TASK_RUN, schema->file };
    optind = 0; /* start anew, should the process have parsed arguments before */
    while ((given = getopt_long(argc, argv, "c:h", known, NULL)) != -1) {
        enum daemon_task next = TASK_RUN;

        switch (given) {
        case 'c': args->conf_path = optarg; continue;
        case 'k': next = TASK_CHECK; break;
        case 'd': next = TASK_DUMP; break;
        case 'v': next = TASK_VERSION; break;
        case 'h': next = help_task(schema, optarg); break;
        default: next = wrong_usage(schema, "see the line above", ""); break;
        }
        args->task = next == TASK_USAGE ? next : joined(schema, args->task, next);
        if (args->task == TASK_USAGE)
            return;
    }
    if (optind < argc)
        args->task = wrong_usage(schema, "does not know the argument ", argv[optind]);
}

void daemon_args_help(struct buf *out, const struct opt_schema *schema)
{
    buf_printf(out,
               "usage: %s [-c FILE] [--check | --dump | --version | --help]\n"
               "\n"
               "Runs in the foreground until SIGTERM. SIGHUP or SIGUSR1: reads its files again.\n"
               "\n"
               "  -c, --config FILE  the configuration; default %s\n"
               "      --check        say everything that is wrong with it, and end\n"
               "      --dump         print every value in effect and where it came from\n"
               "      --version      print the version\n"
               "  -h, --help         this text; --help=sample prints a sample file\n"
               "\n",
               schema->program, schema->file);
    opt_print_help(out, schema);
}
