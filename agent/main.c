/* tunnel-agent: the daemon in the house, on a Raspberry Pi or any machine. */
#include "agent/agent.h"

int main(int argc, char **argv)
{
    return daemon_main(argc, argv, &agent_program);
}
