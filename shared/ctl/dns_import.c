/* tunnelctl dns import: what inadyn or ddclient was told, as sections of agent.ini. Asks no daemon. */
#include "shared/ctl/ctl.h"
#include "shared/dns/import.h"
#include "shared/file.h"
#include "shared/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USUAL_FOLDER "/etc/tunnel"
#define BASE         "dns-import.ini"

static enum ctl_exit fail(const char *what, const char *why)
{
    fprintf(stderr, "tunnelctl: %s%s\n", what, why);
    return CTL_FAILING;
}

/* Nothing that is there already is written over. */
static enum ctl_exit write_new(const char *folder, const char *base, const void *bytes, size_t n)
{
    struct err e;
    char *path = mem_format("%s/%s", folder, base);
    enum ctl_exit result = CTL_WELL;

    if (access(path, F_OK) == 0)
        result =
            fail(path, ": is there already, and is not written over; move it away, or choose another --out");
    else if (file_write(path, bytes, n, 0600, &e) != 0)
        result = fail("", e.text);
    free(path);
    return result;
}

static enum ctl_exit write_all(struct import_plan *plan, const char *folder)
{
    enum ctl_exit result = CTL_WELL;

    for (size_t i = 0; i < plan->secrets_n && result == CTL_WELL; i++)
        result =
            write_new(folder, plan->secrets[i].base, plan->secrets[i].bytes, strlen(plan->secrets[i].bytes));
    if (result == CTL_WELL)
        result = write_new(folder, BASE, buf_bytes(&plan->ini), plan->ini.len);
    if (result == CTL_WELL)
        printf("%s/%s: %zu provider%s and %zu site%s; %zu credential%s beside it, in files of mode 0600\n",
               folder, BASE, plan->providers, plan->providers == 1 ? "" : "s", plan->sites,
               plan->sites == 1 ? "" : "s", plan->secrets_n, plan->secrets_n == 1 ? "" : "s");
    return result;
}

static void print_left(const char *path, const struct import_plan *plan)
{
    for (size_t i = 0; i < plan->left.n; i++)
        fprintf(stderr, "%s:%u: not carried over: %s\n", path, plan->left.list[i].line,
                plan->left.list[i].value);
}

static enum ctl_exit show(const char *path, const char *folder, struct import_plan *plan)
{
    enum ctl_exit result = folder ? write_all(plan, folder) : CTL_WELL;

    if (!folder) {
        fputs(buf_text(&plan->ini), stdout);
        fflush(stdout);
        if (plan->secrets_n > 0)
            fprintf(
                stderr,
                "tunnelctl: credentials are not shown; with --out FOLDER they are written there too, in files of "
                "mode 0600\n");
    }
    print_left(path, plan);
    return result;
}

static enum ctl_exit import_text(const char *path, struct str text, const char *folder)
{
    struct import_file file;
    struct import_plan plan = { 0 };
    struct err e = { 0 };
    enum ctl_exit result;
    int rc = import_program_of(text) == IMPORT_INADYN ? import_inadyn(text, &file, &e)
                                                      : import_ddclient(text, &file, &e);

    if (rc != 0) {
        fprintf(stderr, "%s:%s\n", path, e.text);
        result = CTL_FAILING;
    } else if (file.n == 0) {
        result =
            fail(path, ": names no host that is to be kept; is it inadyn's or ddclient's configuration?");
    } else {
        import_plan(&file, folder ? folder : USUAL_FOLDER, &plan);
        result = show(path, folder, &plan);
    }
    import_plan_free(&plan);
    import_file_free(&file);
    return result;
}

enum ctl_exit ctl_dns_import(struct ctl *c)
{
    struct buf text = { 0 };
    struct err e;
    char *folder = NULL;
    enum ctl_exit result;

    if (c->argc != 1)
        return ctl_wrong_usage("dns import takes one FILE: inadyn.conf or ddclient.conf");
    if (c->json)
        return ctl_wrong_usage("dns import prints sections of an ini file, never JSON");
    if (c->out && !(folder = realpath(c->out, NULL))) {
        fprintf(stderr, "tunnelctl: the folder %s cannot be used: %s; make it first\n", c->out,
                strerror(errno));
        return CTL_FAILING;
    }
    if (file_read(c->argv[0], IMPORT_MAX_BYTES, &text, &e) != 0)
        result = fail("", e.text);
    else
        result = import_text(c->argv[0], (struct str){ buf_text(&text), text.len }, folder);
    if (text.mem)
        explicit_bzero(text.mem, text.room);
    buf_free(&text);
    free(folder);
    return result;
}
