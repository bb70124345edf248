#include "shared/ctl/status_room.h"

#include "shared/ctl/screen.h"

#include <stdbool.h>
#include <stdint.h>

#define SEE_ALL "; to see all: tunnelctl status | less"

/* All entries of a list, and of a list within each. */
static size_t rows_within(const json_t *list, const char *inner, size_t own)
{
    const json_t *entry;
    size_t i, n = 0;

    json_array_foreach(list, i, entry) n += own + json_array_size(json_object_get(entry, inner));
    return n;
}

/* The first line, and the one for what is typed next; of each table a blank line, a title, and its headings. */
static size_t lines_besides(const json_t *status, const struct buf *problems, const struct buf *notices)
{
    enum { OWN = 2, OF_TABLE = 3, OF_LIST = 2 };
    bool ports = json_array_size(json_object_get(status, "tcp")) > 0;

    return OWN + (ports ? 3 : 2) * OF_TABLE + (problems->len > 0 ? OF_LIST : 0) +
           (notices->len > 0 ? OF_LIST : 0);
}

size_t status_room(const json_t *status, struct buf *problems, struct buf *notices, size_t rows[STATUS_PARTS])
{
    const struct screen screen = screen_of_stdout();
    const json_t *lanes = json_object_get(status, "lanes");
    const size_t needs[STATUS_PARTS] = {
        [STATUS_PROBLEMS] = screen_lines(&screen, buf_text(problems)),
        [STATUS_NOTICES] = screen_lines(&screen, buf_text(notices)),
        [STATUS_LANES] =
            lanes ? json_array_size(lanes) : rows_within(json_object_get(status, "relays"), "lanes", 0),
        [STATUS_DOMAINS] = rows_within(json_object_get(status, "domains"), "routes", 1),
        [STATUS_PORTS] = json_array_size(json_object_get(status, "tcp")),
    };
    size_t besides = lines_besides(status, problems, notices);
    size_t left = screen.lines > besides ? screen.lines - besides : 0;

    for (int i = 0; i < STATUS_PARTS; i++)
        rows[i] = SIZE_MAX;
    if (screen.lines == 0)
        return 0;
    screen_share(left, needs, rows, STATUS_PARTS);
    screen_cut(&screen, problems, rows[STATUS_PROBLEMS], SEE_ALL);
    screen_cut(&screen, notices, rows[STATUS_NOTICES], SEE_ALL);
    for (int i = 0; i < STATUS_PARTS; i++)
        left -= rows[i];
    for (int i = STATUS_LANES; i < STATUS_PARTS; i++)
        rows[i] -= rows[i] > 0 && rows[i] < needs[i]; /* for the line that says how many more there are */
    return left;
}
