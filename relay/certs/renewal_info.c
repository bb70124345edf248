#include "relay/certs/renewal_info.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

static int get(struct acme_ca *ca, struct job *job, const char *url, struct acme_window *out,
               int64_t *again_ms, struct acme_why *why)
{
    struct acme_reply reply = { 0 };
    struct err e = { 0 };
    int rc = acme_get(ca, job, url, &reply, why);

    if (rc == 0 && acme_window_read(reply.json, out, &e) != 0)
        rc = acme_fail(why, ACME_LATER, "the CA's renewal information cannot be used: %.300s", e.text);
    *again_ms = reply.retry_after_ms;
    acme_reply_free(&reply);
    return rc;
}

int renewal_info_get(struct acme_ca *ca, struct job *job, const char *cert_id, struct acme_window *out,
                     int64_t *again_ms, struct acme_why *why)
{
    struct acme_directory d = { 0 };
    char *url;
    int rc;

    *again_ms = -1;
    if (acme_directory_get(ca, job, &d, why) != 0)
        return -1;
    if (d.renewal_info) {
        size_t n = strlen(d.renewal_info);

        url = mem_format("%s%s%s", d.renewal_info, d.renewal_info[n - 1] == '/' ? "" : "/", cert_id);
        rc = get(ca, job, url, out, again_ms, why);
        free(url);
    } else {
        rc = acme_fail(why, ACME_REFUSED, "%.200s has no renewalInfo: this CA does not say when to renew",
                       acme_ca_conf(ca)->directory);
        why->err.code = ERR_MISSING;
    }
    acme_directory_free(&d);
    return rc;
}
