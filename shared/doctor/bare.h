/* shared/doctor/bare.h - is this machine one that a relay, or an agent, can be set up on? Pure. */
#ifndef SHARED_DOCTOR_BARE_H
#define SHARED_DOCTOR_BARE_H
#include "shared/doctor/steps.h"

/* Facts: {ports: [{port, holder}], ufw, iptables, nft: what these print, "" when they are not there, addresses: [{address,
 * public}], memory: {total_kb}, clock_kept}. holder: "" for nobody. */
void bare_judge(struct steps *s, const json_t *facts);
#endif
