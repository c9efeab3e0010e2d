/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch's way out: one of this machine's NICs as a port of network 0. All of them are started,
 * one is used: two on the same wire would bring every broadcast in twice. When it loses its link
 * and another has one, that one takes over.
 */
#ifndef NET_UPLINK_H
#define NET_UPLINK_H

struct nic;

/*
 * net_uplink_init - read the node's MTU, start the NICs, and attach the one that uplink_choose()
 * names
 *
 * A machine without a NIC has no uplink; drivers_init() has said so. Those that are plugged in
 * later are started then, and one that is taken out makes room for another. Context: boot CPU,
 * once, after drivers_init().
 */
void net_uplink_init(void);

/* net_uplink - the NIC that is the uplink now, or NULL. Any CPU, no lock. */
struct nic *net_uplink(void);

#endif
