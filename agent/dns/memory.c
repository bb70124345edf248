#include "agent/dns/memory.h"

#include "shared/file.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 16 << 20, VERSION = 1 };

json_t *memory_open(struct memory *m, const char *state_dir)
{
    struct buf text = { 0 };
    struct err why = { 0 };
    json_t *value = NULL;

    *m = (struct memory){ .path = mem_format("%s/dns.json", state_dir) };
    if (file_read(m->path, MOST_BYTES, &text, &why) == 0)
        value = json_read(buf_bytes(&text), text.len, &why);
    if (value && json_integer_value(json_object_get(value, "v")) != VERSION) {
        err_set(&why, ERR_INPUT, "it is of another version");
        json_decref(value);
        value = NULL;
    }
    if (value)
        m->written = mem_copy(buf_text(&text));
    else if (why.code != ERR_MISSING)
        log_warn("what was known of DNS records is lost; providers are asked anew", kv_str("path", m->path),
                 kv_str("error", why.text));
    buf_free(&text);
    return value ? value : json_object();
}

void memory_close(struct memory *m)
{
    free(m->path);
    free(m->written);
    *m = (struct memory){ 0 };
}

int memory_save(struct memory *m, json_t *takes, struct err *e)
{
    struct buf text = { 0 };
    int rc = 0;

    json_object_set_new(takes, "v", json_integer(VERSION));
    json_write(&text, takes);
    json_decref(takes);
    if (!m->written || strcmp(m->written, buf_text(&text)) != 0) {
        rc = file_write(m->path, buf_bytes(&text), text.len, 0600, e);
        if (rc == 0) {
            free(m->written);
            m->written = mem_copy(buf_text(&text));
        }
    }
    buf_free(&text);
    return rc;
}
