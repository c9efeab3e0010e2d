/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP as the agent needs it: IPv4, TCP client connections through the raw API, DHCP, DNS, one loop
 * and no threads. Every checksum is checked: the wire is not ours.
 */
#ifndef BILLET_LWIPOPTS_H
#define BILLET_LWIPOPTS_H

#define NO_SYS			1
#define SYS_LIGHTWEIGHT_PROT	0
#define LWIP_NETCONN		0
#define LWIP_SOCKET		0
#define LWIP_RAW		0
#define LWIP_TIMERS		1
#define LWIP_STATS		0
#define LWIP_ERRNO_STDINCLUDE	1

#define LWIP_IPV4		1
#define LWIP_IPV6		0
#define LWIP_ARP		1
#define LWIP_ICMP		1
#define LWIP_IGMP		0
#define IP_FORWARD		0
#define IP_REASSEMBLY		0
#define IP_FRAG			0
#define LWIP_DHCP		1
#define LWIP_DHCP_DOES_ACD_CHECK 0 /* probing the address takes seconds; the server knows its leases */
#define LWIP_DNS		1
#define LWIP_NETIF_HOSTNAME	1
#define LWIP_NETIF_LINK_CALLBACK 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_SINGLE_NETIF	1

/* Memory: packets and segments from pools, the rest from malloc. */
#define MEM_LIBC_MALLOC		1
#define MEM_ALIGNMENT		8
#define PBUF_POOL_SIZE		96
#define PBUF_POOL_BUFSIZE	1600
#define MEMP_NUM_TCP_PCB	12
#define MEMP_NUM_TCP_PCB_LISTEN	1
#define MEMP_NUM_TCP_SEG	96
#define MEMP_NUM_UDP_PCB	4

#define TCP_MSS			1460
#define TCP_WND			(32 * TCP_MSS)
#define TCP_SND_BUF		(12 * TCP_MSS)
#define TCP_SND_QUEUELEN	48
#define TCP_QUEUE_OOSEQ		1
#define LWIP_TCP_SACK_OUT	1
#define LWIP_TCP_KEEPALIVE	1
#define TCP_SYNMAXRTX		4
#define TCP_MAXRTX		8

#define LWIP_CHKSUM_ALGORITHM	3
#define LWIP_RANDOMIZE_INITIAL_LOCAL_PORTS 1

#include <stdint.h>
uint32_t agent_random32(void); /* agent/port/entropy.c */
#define LWIP_RAND() agent_random32()
#define LWIP_HOOK_FILENAME "lwiphooks.h"
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) agent_random32()

#endif
