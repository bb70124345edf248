/* shared/daemon_conf.h - the options that both daemons have: the beginning of [relay] and of [agent]. */
#ifndef SHARED_DAEMON_CONF_H
#define SHARED_DAEMON_CONF_H
#include "shared/alerts/alerts_conf.h"
#include "shared/opt.h"
#include "shared/unix_socket.h"

#include <stddef.h>
#include <stdint.h>

/* The options both have; the first member of struct relay_conf and struct agent_conf. */
struct daemon_conf {
    const char *name, *state_dir, *control_socket;
    struct opt_addresses admin_listen; /* one, or none */
    const char *admin_password_file;   /* "": none */
    struct opt_words include;
    const char *log;
    int log_level;
    int64_t drain_ms;
    const char *on_event, *webhook, *webhook_token_file; /* "": not given */
};

/* Rows of the option table for struct daemon_conf, which `struct_name` begins with as member `base`. */
#define DAEMON_OPTIONS(kind, struct_name, state, socket, admin, includes)                                                     \
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
          .check = unix_check_path,                                                                                           \
          .help = "Unix socket that tunnelctl talks to. Its owner and the group tunnel-admin may use it." },                  \
        { kind,                                                                                                               \
          "admin_listen",                                                                                                     \
          OPT_LISTEN,                                                                                                         \
          offsetof(struct_name, base.admin_listen),                                                                           \
          .def = admin,                                                                                                       \
          .flags = OPT_RELOAD,                                                                                                \
          .help =                                                                                                             \
              "Address where the status page (/), /metrics (for Prometheus), /healthz and /readyz are; there is nothing to "  \
              "be changed there. One that others than this machine can reach needs admin_password_file. When empty, there "   \
              "is none." },                                                                                                   \
        { kind,                                                                                                               \
          "admin_password_file",                                                                                              \
          OPT_SECRET_FILE,                                                                                                    \
          offsetof(struct_name, base.admin_password_file),                                                                    \
          .flags = OPT_RELOAD | OPT_SECRET_ELSEWHERE,                                                                         \
          .sample = "/etc/tunnel/admin.password",                                                                             \
          .help =                                                                                                             \
              "File with the password that admin_listen then asks for, in a browser or as HTTP's basic authentication; the "  \
              "user is admin. After ten wrong ones an address has to wait, six seconds for each further one; one from which " \
              "the right one has come is still let in by it." },                                                              \
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
        { kind,                                                                                                               \
          "drain",                                                                                                            \
          OPT_DURATION,                                                                                                       \
          offsetof(struct_name, base.drain_ms),                                                                               \
          .def = "10s",                                                                                                       \
          .min = 0,                                                                                                           \
          .max = 3600000,                                                                                                     \
          .flags = OPT_RELOAD,                                                                                                \
          .help = "How long work in progress may go on after SIGTERM, before it is cut off." },                               \
        ALERTS_OPTIONS(kind, struct_name)

/* Checks across the options of struct daemon_conf. */
void daemon_conf_check(const struct opt_conf *conf, const char *kind, const struct daemon_conf *own,
                       struct opt_errors *errors);
/* Adds why the log that `key` names could not be opened, as far as that is seen without making or changing a file. */
void daemon_conf_check_log(const struct opt_conf *conf, const char *kind, const char *key, const char *where,
                           struct opt_errors *errors);

extern const char *const daemon_log_levels[], *const daemon_log_words[];
void daemon_default_name(char *text, size_t room);
#endif
