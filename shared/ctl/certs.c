/* tunnelctl certs: what concerns certificates. */
#include "shared/ctl/ctl.h"

#include <string.h>

enum ctl_exit ctl_certs(struct ctl *c)
{
    static const struct {
        const char *word;
        enum ctl_exit (*run)(struct ctl *c);
    } parts[] = { { "import", ctl_certs_import } };
    const char *what = c->argc > 0 ? c->argv[0] : "";

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strcmp(what, parts[i].word) == 0) {
            c->argc--;
            c->argv++;
            return parts[i].run(c);
        }
    return ctl_wrong_usage("certs takes import DIR");
}
