#include "shared/metrics.h"

#include "shared/file.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- the format ---- */

void metrics_begin(struct metrics *m, struct buf *out, const char *role)
{
    *m = (struct metrics){ .out = out, .role = role };
}

static void begin_family(struct metrics *m, enum metrics_type type, const char *help)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };

    buf_printf(m->out, "# HELP %s %s\n# TYPE %s %s\n", m->family, help, m->family, types[type]);
}

void metrics_family(struct metrics *m, const char *name, enum metrics_type type, const char *help)
{
    snprintf(m->family, sizeof m->family, "tunnel_%s_%s", m->role, name);
    begin_family(m, type, help);
}

static void add_label(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s=\"", name);
    for (const char *p = value; *p; p++)
        if (*p == '\n')
            buf_add_text(out, "\\n");
        else if (*p == '"' || *p == '\\')
            buf_printf(out, "\\%c", *p);
        else
            buf_add(out, p, 1);
    buf_add_text(out, "\"");
}

static void add_value(struct buf *out, double value)
{
    if (value > -9e15 && value < 9e15 && (double)(int64_t)value == value)
        buf_printf(out, " %.0f\n", value);
    else
        buf_printf(out, " %.15g\n", value); /* a time has ten digits before the point */
}

void metrics_put_labels(struct metrics *m, double value, ...)
{
    const char *name, *before = "{";
    va_list labels;

    buf_add_text(m->out, m->family);
    va_start(labels, value);
    while ((name = va_arg(labels, const char *))) {
        buf_add_text(m->out, before);
        add_label(m->out, name, va_arg(labels, const char *));
        before = ",";
    }
    va_end(labels);
    if (*before == ',')
        buf_add_text(m->out, "}");
    add_value(m->out, value);
}

void metrics_put_histogram(struct metrics *m, const struct histogram_sum *h)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        total += h->counts[i];
        buf_printf(m->out, "%s_bucket{le=\"%.9g\"} %llu\n", m->family, histogram_bound(i),
                   (unsigned long long)total);
    }
    total += h->counts[HISTOGRAM_BUCKETS];
    buf_printf(m->out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum", m->family, (unsigned long long)total,
               m->family);
    add_value(m->out, (double)h->sum_us / 1e6);
    buf_printf(m->out, "%s_count %llu\n", m->family, (unsigned long long)total);
}

void metrics_one(struct metrics *m, const char *name, enum metrics_type type, const char *help, double value)
{
    metrics_family(m, name, type, help);
    metrics_put(m, value);
}

/* ---- the process ---- */

/* Names that every program has alike. */
static void put_process(struct metrics *m, const char *name, enum metrics_type type, const char *help,
                        double value)
{
    snprintf(m->family, sizeof m->family, "process_%s", name);
    begin_family(m, type, help);
    metrics_put(m, value);
}

/* The sum of the lines that begin with this, in bytes; -1: the kernel does not tell. */
static double sum_of(const char *path, const char *begin)
{
    char line[256];
    double bytes = -1;
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, begin, strlen(begin)) == 0)
            bytes = (bytes < 0 ? 0 : bytes) + 1024.0 * (double)strtoull(strchr(line, ':') + 1, NULL, 10);
    if (f)
        fclose(f);
    return bytes;
}

/* When it started, by the clock of the machine as it stands now; -1: the kernel does not tell. */
static double started_at(void)
{
    struct buf text = { 0 };
    unsigned long long ticks;
    struct timespec now, up;
    const char *p;
    double at = -1;

    if (file_read("/proc/self/stat", 4096, &text, NULL) == 0 && (p = strrchr(buf_text(&text), ')')) &&
        sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &ticks) == 1 &&
        clock_gettime(CLOCK_REALTIME, &now) == 0 && clock_gettime(CLOCK_BOOTTIME, &up) == 0)
        at = (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9 +
             (double)ticks / (double)sysconf(_SC_CLK_TCK);
    buf_free(&text);
    return at;
}

static double descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int n = -3; /* . and .., and the folder itself */

    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n < 0 ? -1 : n;
}

static double cpu_seconds(void)
{
    struct rusage used;

    if (getrusage(RUSAGE_SELF, &used) != 0)
        return -1;
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void put_if_known(struct metrics *m, const char *name, enum metrics_type type, const char *help,
                         double value)
{
    if (value >= 0)
        put_process(m, name, type, help, value);
}

void metrics_of_process(struct buf *out, const char *role)
{
    struct metrics m;
    double private_bytes = sum_of("/proc/self/smaps_rollup", "Private_");
    struct rlimit limit;

    metrics_begin(&m, out, role);
    metrics_family(&m, "build_info", METRICS_GAUGE, "The version that runs; always 1.");
    metrics_put(&m, 1, "version", TUNNEL_VERSION);
    if (private_bytes >= 0)
        metrics_one(&m, "memory_private_bytes", METRICS_GAUGE, "Memory in use that no other process shares.",
                    private_bytes);
    put_if_known(&m, "start_time_seconds", METRICS_GAUGE, "When the process started, in Unix time.",
                 started_at());
    put_if_known(&m, "cpu_seconds_total", METRICS_COUNTER, "Processor time used.", cpu_seconds());
    put_if_known(&m, "resident_memory_bytes", METRICS_GAUGE, "Memory in use, shared or not.",
                 sum_of("/proc/self/status", "VmRSS"));
    put_if_known(&m, "open_fds", METRICS_GAUGE, "Descriptors that are open.", descriptors());
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        put_if_known(&m, "max_fds", METRICS_GAUGE, "Descriptors that may be open.", (double)limit.rlim_cur);
}
