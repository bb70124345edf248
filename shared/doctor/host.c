#include "shared/doctor/host.h"

#include "shared/buf.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    BUILT_BEFORE_S = 1767225600, /* 2026: no clock that is right shows less */
    TRIED_BYTES = 4096,
    LOW_BYTES = 32 << 20, /* of disk: certificates and logs fit in, for a while */
    LOW_FILES = 100,
    LOW_MEMORY_KB = 32 << 10,
    SKEW_S = 300, /* what a clock may be wrong before signatures and certificates are refused */
};

/* ---- looking ---- */

static int64_t memory_kb(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at ? strtoll(at + strlen(name), NULL, 10) : -1;
}

static json_t *look_at_memory(void)
{
    struct buf text = { 0 };
    json_t *memory;

    if (file_read("/proc/meminfo", 1 << 16, &text, NULL) != 0)
        buf_add_text(&text, "");
    memory = json_pack("{s:I, s:I}", "total_kb", (json_int_t)memory_kb(buf_text(&text), "MemTotal:"),
                       "available_kb", (json_int_t)memory_kb(buf_text(&text), "MemAvailable:"));
    buf_free(&text);
    return memory;
}

/* What can be written is known by writing: quotas, and a card that has become read-only, show in no table. */
static int try_to_write(const char *folder)
{
    char *path = mem_format("%s/.doctor-XXXXXX", folder), bytes[TRIED_BYTES] = { 0 };
    int fd = mkostemp(path, O_CLOEXEC), number = 0;

    if (fd < 0) {
        number = errno;
    } else {
        ssize_t n = write(fd, bytes, sizeof bytes);

        number = n == sizeof bytes ? 0 : n < 0 ? errno : ENOSPC;
        if (number == 0 && fsync(fd) != 0)
            number = errno;
        close(fd);
        unlink(path);
    }
    free(path);
    return number;
}

static json_t *look_at_disk(const char *folder)
{
    struct statvfs fs = { 0 };
    bool known = statvfs(folder, &fs) == 0;
    int number = try_to_write(folder);
    json_t *disk =
        json_pack("{s:o, s:s}", "path", json_any_text(folder), "error", number != 0 ? strerror(number) : "");

    json_object_set_new(disk, "full", json_boolean(number == ENOSPC || number == EDQUOT));
    if (known) {
        json_object_set_new(disk, "free_bytes",
                            json_integer((json_int_t)fs.f_bavail * (json_int_t)fs.f_frsize));
        if (fs.f_files > 0)
            json_object_set_new(disk, "free_files", json_integer((json_int_t)fs.f_favail));
    }
    return disk;
}

void host_look(json_t *facts, const char *state_dir)
{
    json_object_set_new(facts, "now_s", json_integer((json_int_t)time(NULL)));
    json_object_set_new(facts, "memory", look_at_memory());
    if (state_dir)
        json_object_set_new(facts, "disk", look_at_disk(state_dir));
}

void host_look_at_secret(json_t *facts, const char *path)
{
    json_t *list = json_object_get(facts, "secrets");
    struct err why = { 0 };

    if (!list) {
        list = json_array();
        json_object_set_new(facts, "secrets", list);
    }
    if (access(path, F_OK) == 0 && file_check_secret(path, &why) != 0)
        json_array_append_new(
            list, json_pack("{s:o, s:o}", "path", json_any_text(path), "why", json_any_text(why.text)));
}

/* ---- judging ---- */

static void judge_clock(struct steps *s, const json_t *facts)
{
    const time_t now = (time_t)fact_number(facts, "now_s", 0);
    const json_t *other = json_object_get(facts, "other_clock");
    int64_t ahead_s = other ? fact_number(other, "ahead_s", 0) : 0;
    char text[40] = "";
    struct tm tm;

    if (gmtime_r(&now, &tm))
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    if (now < BUILT_BEFORE_S) {
        steps_add(s, "clock", STEP_FAIL, "this machine's clock says %s, so no certificate is good for it",
                  text);
        steps_remedy(s, "set it, and keep it right: timedatectl set-ntp true (systemd-timesyncd, or chrony)");
    } else if (ahead_s > SKEW_S || ahead_s < -SKEW_S) {
        steps_add(s, "clock", STEP_WARN, "this machine's clock is %lld s %s that of %s",
                  (long long)(ahead_s > 0 ? ahead_s : -ahead_s), ahead_s > 0 ? "ahead of" : "behind",
                  fact_text(other, "who"));
        steps_remedy(s, "keep it right: timedatectl set-ntp true (systemd-timesyncd, or chrony)");
    } else {
        steps_add(s, "clock", STEP_PASS, "%s", text);
    }
}

static void judge_memory(struct steps *s, const json_t *facts)
{
    const json_t *memory = json_object_get(facts, "memory");
    int64_t available = fact_number(memory, "available_kb", -1);

    if (available < 0)
        return;
    if (available >= LOW_MEMORY_KB) {
        steps_add(s, "memory", STEP_PASS, "%lld MB are free", (long long)(available >> 10));
        return;
    }
    steps_add(s, "memory", STEP_WARN, "%lld MB of memory are left", (long long)(available >> 10));
    steps_remedy(s, "see who takes it (ps aux --sort -rss | head), or add swap");
}

static void judge_disk(struct steps *s, const json_t *facts)
{
    const json_t *disk = json_object_get(facts, "disk");
    const char *path = fact_text(disk, "path"), *error = fact_text(disk, "error");
    int64_t bytes = fact_number(disk, "free_bytes", -1), files = fact_number(disk, "free_files", -1);

    if (!disk)
        return;
    if (json_is_true(json_object_get(disk, "full"))) {
        steps_add(s, "disk", STEP_FAIL, "the disk is full: nothing more can be written to %s (%s)", path,
                  error);
        steps_remedy(s,
                     files == 0 ? "delete files there (df -i %s): it is their number that is used up"
                                : "make room there: df -h %s; journalctl --vacuum-size=100M; apt-get clean",
                     path);
    } else if (*error) {
        steps_add(s, "disk", STEP_FAIL, "cannot write to the state folder %s: %s", path, error);
        steps_remedy(s, "see whose it is (ls -ld %s), and whether its disk has become read-only (dmesg)",
                     path);
    } else if ((bytes >= 0 && bytes < LOW_BYTES) || (files >= 0 && files < LOW_FILES)) {
        steps_add(s, "disk", STEP_WARN, "the disk of %s is almost full", path);
        steps_remedy(s, "make room there: df -h %s; journalctl --vacuum-size=100M; apt-get clean", path);
    } else {
        steps_add(s, "disk", STEP_PASS, "%s can be written", path);
    }
}

static void judge_secrets(struct steps *s, const json_t *facts)
{
    const json_t *list = json_object_get(facts, "secrets"), *secret;
    size_t i;

    json_array_foreach(list, i, secret)
    {
        steps_add(s, "secrets", STEP_FAIL, "%s", fact_text(secret, "why"));
        steps_remedy(s, "chmod 600 %s", fact_text(secret, "path"));
    }
    if (list && json_array_size(list) == 0)
        steps_add(s, "secrets", STEP_PASS, "nobody else can read the keys");
}

void host_judge(struct steps *s, const json_t *facts)
{
    s->about = "";
    judge_clock(s, facts);
    judge_memory(s, facts);
    judge_disk(s, facts);
    judge_secrets(s, facts);
}
