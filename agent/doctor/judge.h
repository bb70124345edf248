/* agent/doctor/judge.h - what follows from an agent's facts: step by step from this machine to its visitors. Pure. */
#ifndef AGENT_DOCTOR_JUDGE_H
#define AGENT_DOCTOR_JUDGE_H
#include "shared/doctor/steps.h"

void agent_doctor_judge(struct steps *s, const json_t *facts);

/* Its parts. */
void agent_judge_relay(struct steps *s, const json_t *relay, const char *agent);
void agent_judge_domain(struct steps *s, const json_t *domain);
/* Whether an address is one of the relay's, as far as the site's records say what they should be; else any is. */
bool agent_is_relays(const json_t *domain, const char *address);
#endif
