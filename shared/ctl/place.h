/* shared/ctl/place.h - where tunnelctl writes a section of the agent's configuration: a file of its own in agent.d, beside
 * agent.ini, and only if agent.ini includes it. */
#ifndef SHARED_CTL_PLACE_H
#define SHARED_CTL_PLACE_H
#include "shared/ctl/ctl.h"

struct ctl_place {
    char *folder, *base, *path; /* of agent.ini; NAME.ini; where it goes */
    int lock;                   /* if held */
    bool held;
};

/* Asks the agent where its configuration is, and waits until no other tunnelctl changes it; none does until place_release or
 * place_free. Whatever is wrong has been printed. base is copied; *p is all zero bytes before, and place_free in any case. */
enum ctl_exit ctl_place_find(struct ctl *c, const char *base, struct ctl_place *p);
void ctl_place_free(struct ctl_place *p);
void ctl_place_release(struct ctl_place *p);
/* That agent.ini includes the file, and that a section of this kind and name is nowhere else, as /v1/config tells it. -1
 * with the reason. */
must_check int ctl_place_fits(const struct ctl_place *p, const json_t *config, const char *kind,
                              const char *name, struct err *e);
/* "FILE:LINE" of a line of the section of this kind and name; "" when there is none. */
const char *ctl_section_origin(const json_t *config, const char *kind, const char *name);
/* Whether that "FILE:LINE" is in this file. */
bool ctl_place_is(const struct ctl_place *p, const char *origin);
/* The value of an option, as text; "" when there is no such section. */
const char *ctl_option(const json_t *config, const char *kind, const char *name, const char *key);
/* Makes the folder where it is missing. -1 with the reason. */
must_check int ctl_place_open(const struct ctl_place *p, struct err *e);
/* The file as it is, added to text; nothing when there is none. -1 with the reason, of a link, too: what is written would
 * take its place. */
must_check int ctl_place_read(const struct ctl_place *p, struct buf *text, struct err *e);
/* Writes it whole. A file that was there keeps its mode and its owner. */
must_check int ctl_place_write(const struct ctl_place *p, const struct buf *text, struct err *e);
#endif
