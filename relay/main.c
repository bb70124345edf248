/* tunnel-relay: the daemon on the cloud VM. */
#include "relay/relay.h"

int main(int argc, char **argv)
{
    return daemon_main(argc, argv, &relay_program);
}
