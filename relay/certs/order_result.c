/* What an order ends with. */
#include "relay/certs/order.h"

#include <stdlib.h>

void order_result_free(struct order_result *result)
{
    for (size_t i = 0; i < result->failures_n; i++) {
        free(result->failures[i].name);
        free(result->failures[i].text);
    }
    free(result->failures);
    free(result->chain_pem);
    signer_free(result->key);
    *result = (struct order_result){ 0 };
}
