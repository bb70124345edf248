#include "agent/dns/host_id.h"

#include <arpa/inet.h>
#include <string.h>

enum { PREFIX_BYTES = 8 };

bool host_id_is(const char *text)
{
    static const struct in6_addr zero;
    struct in6_addr id;

    return inet_pton(AF_INET6, text, &id) == 1 && memcmp(&id, &zero, PREFIX_BYTES) == 0 &&
           memcmp(&id, &zero, sizeof id) != 0;
}

void host_id_join(const char *address, const char *host_id, char out[ADDRESS_BYTES])
{
    struct in6_addr whole, id;

    out[0] = 0;
    if (inet_pton(AF_INET6, address, &whole) != 1 || inet_pton(AF_INET6, host_id, &id) != 1)
        return;
    memcpy((char *)&whole + PREFIX_BYTES, (char *)&id + PREFIX_BYTES, sizeof id - PREFIX_BYTES);
    if (!inet_ntop(AF_INET6, &whole, out, ADDRESS_BYTES))
        out[0] = 0;
}
