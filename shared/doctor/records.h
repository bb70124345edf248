/* shared/doctor/records.h - does the DNS lead where it should? One name, one type of record. Pure. */
#ifndef SHARED_DOCTOR_RECORDS_H
#define SHARED_DOCTOR_RECORDS_H
#include "shared/doctor/steps.h"

struct records {
    const char *name, *type;      /* type: "A" or "AAAA" */
    const char *holder;           /* who keeps them: the name of a [provider]; "" or "manual": a person */
    const json_t *wanted, *found; /* lists of addresses; wanted NULL: not known */
    const json_t *through;        /* of these, those that are known to lead to the relay; NULL: not tried */
};

/* Nothing is added where nothing is wanted, and nothing is there. */
void records_judge(struct steps *s, const struct records *r);
/* Whose network of reverse proxies this address is in ("Cloudflare"); NULL: no known one. */
const char *records_proxy(const char *address);
bool records_have(const json_t *list, const char *address);
#endif
