/* shared/daemon.h - what both daemons do alike: arguments, configuration, log, state folder, control socket, signals.
 *
 * A program fills struct daemon_program with its own parts and calls daemon_main. */
#ifndef SHARED_DAEMON_H
#define SHARED_DAEMON_H
#include "shared/err.h"
#include "shared/http/server.h"
#include "shared/loop.h"
#include "shared/notify.h"
#include "shared/opt.h"

#include <jansson.h>

/* The options both have; the first member of struct relay_conf and struct agent_conf. */
struct daemon_conf {
    const char *name, *state_dir, *control_socket;
    struct opt_words include;
    const char *log;
    int log_level;
    int64_t drain_ms;
};

struct daemon_parts_ended {
    void (*call)(void *user);
    void *user;
};

struct daemon_program {
    const char *role; /* "relay" or "agent": the kind of the section that begins with struct daemon_conf */
    const struct opt_schema *schema;
    /* The program's own parts, alive on the loop until they call ended, once, last, from the loop. conf stays valid
     * until reload returns with the next one. NULL with the reason when they cannot start. */
    void *(*start)(struct loop *loop, const struct opt_conf *conf, struct inherited *inherited,
                   const struct daemon_parts_ended *ended, struct err *e);
    /* In front of a reload: everything that can fail, adding to the errors; without any, reload follows. May be NULL. */
    void (*prepare)(void *parts, const struct opt_conf *next, struct opt_errors *errors);
    void (*reload)(void *parts, const struct opt_conf *conf); /* cannot fail */
    /* Members of /v1/status beyond role, version and name; all of them also for parts that are NULL, which have ended
     * while a request was still on its way. */
    void (*add_status)(void *parts, json_t *status);
    void (*drain)(void *parts);      /* finish what is in progress, take nothing new */
    void (*cut)(void *parts);        /* end at once */
    const struct http_route *routes; /* of the control socket, beyond those of shared/control.h */
    size_t routes_n;
    /* What --dump prints besides the configuration, from the state folder; NULL: nothing. */
    void (*add_dump)(struct buf *out, const struct opt_conf *conf);
};

/* Runs the program from its arguments to its exit code: 0 well, 1 it could not start, 2 wrong usage. */
int daemon_main(int argc, char **argv, const struct daemon_program *program);

/* Rows of the option table for struct daemon_conf, which `struct_name` begins with as member `base`. */
#define DAEMON_OPTIONS(kind, struct_name, state, socket, includes)                                                            \
    { kind,                                                                                                                   \
      "name",                                                                                                                 \
      OPT_NAME,                                                                                                               \
      offsetof(struct_name, base.name),                                                                                       \
      .def_of = daemon_default_name,                                                                                          \
      .sample = "pi-2",                                                                                                       \
      .flags = OPT_RELOAD,                                                                                                    \
      .help = "What this machine is called in status and logs: its host name, unless given." },                               \
        { kind,                                                                                                               \
          "state_dir",                                                                                                        \
          OPT_PATH,                                                                                                           \
          offsetof(struct_name, base.state_dir),                                                                              \
          .def = state,                                                                                                       \
          .help =                                                                                                             \
              "Folder for keys and whatever else must survive a restart. Made when missing; held by one daemon at a time." }, \
        { kind,                                                                                                               \
          "control_socket",                                                                                                   \
          OPT_PATH,                                                                                                           \
          offsetof(struct_name, base.control_socket),                                                                         \
          .def = socket,                                                                                                      \
          .help = "Unix socket that tunnelctl talks to. Its owner and the group tunnel-admin may use it." },                  \
        { kind,                                                                                                               \
          "include",                                                                                                          \
          OPT_INCLUDE,                                                                                                        \
          offsetof(struct_name, base.include),                                                                                \
          .def = includes,                                                                                                    \
          .flags = OPT_RELOAD,                                                                                                \
          .help =                                                                                                             \
              "Further files, relative to this one. A pattern may match nothing; a plain path must exist." },                 \
        { kind,                                                                                                               \
          "log",                                                                                                              \
          OPT_LOG,                                                                                                            \
          offsetof(struct_name, base.log),                                                                                    \
          .def = "stderr",                                                                                                    \
          .choices = daemon_log_words,                                                                                        \
          .flags = OPT_RELOAD,                                                                                                \
          .help =                                                                                                             \
              "Where log lines go: stderr (the journal under systemd), or a file, which a reload opens anew." },              \
        { kind,                                                                                                               \
          "log_level",                                                                                                        \
          OPT_CHOICE,                                                                                                         \
          offsetof(struct_name, base.log_level),                                                                              \
          .def = "info",                                                                                                      \
          .flags = OPT_RELOAD,                                                                                                \
          .choices = daemon_log_levels,                                                                                       \
          .help = "The least important lines that are written." },                                                            \
    {                                                                                                                         \
        kind, "drain", OPT_DURATION, offsetof(struct_name, base.drain_ms),                                                    \
            .def = "10s", .min = 0, .max = 3600000, .flags = OPT_RELOAD,                                                      \
            .help = "How long work in progress may go on after SIGTERM, before it is cut off."                                \
    }

extern const char *const daemon_log_levels[], *const daemon_log_words[];
void daemon_default_name(char *text, size_t room);
#endif
