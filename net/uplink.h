/* SPDX-License-Identifier: Apache-2.0 */
/* The switch's way out: this machine's NIC as a port of network 0. */
#ifndef NET_UPLINK_H
#define NET_UPLINK_H

/*
 * net_uplink_init - attach the first NIC that has a link, or else the first one, and start it
 *
 * One only: two NICs on the same wire would bring every broadcast in twice. A machine without a NIC
 * has no uplink; drivers_init() has said so. Context: boot CPU, once, after drivers_init().
 */
void net_uplink_init(void);

#endif
