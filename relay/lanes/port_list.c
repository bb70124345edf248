#include "relay/lanes/port_list.h"

#include "shared/value.h"

#include <string.h>

int port_list_read(struct str word, uint16_t *first, uint16_t *last, struct err *e)
{
    const char *dash = memchr(word.p, '-', word.n);
    struct str from = { word.p, dash ? (size_t)(dash - word.p) : word.n };
    struct str to = { dash ? dash + 1 : word.p, dash ? word.n - from.n - 1 : word.n };

    struct buf shown = { 0 };

    if (value_port(from, first, NULL) == 0 && value_port(to, last, NULL) == 0 && *first <= *last)
        return 0;
    value_show(&shown, word, VALUE_SHOWN_CHARS);
    err_set(e, ERR_INPUT,
            "%s is neither a port from 1 to 65535 nor a range of them (such as 2222 or 8000-8100)",
            buf_text(&shown));
    buf_free(&shown);
    return -1;
}

bool port_list_has(const struct opt_words *list, unsigned port)
{
    uint16_t first, last;

    for (size_t i = 0; i < list->n; i++)
        if (port_list_read(str_of(list->words[i]), &first, &last, NULL) == 0 && port >= first && port <= last)
            return true;
    return false;
}
