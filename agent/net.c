/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's own address: by DHCP, or as configured. */
#include <stdio.h>
#include <string.h>

#include "agent/log.h"
#include "agent/node.h"
#include "agent/port/port.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/netif.h"
#include "lwip/prot/dhcp.h"
#include "lwip/timeouts.h"

static bool is_static;

static void status_changed(struct netif *netif)
{
	char address[IPV4_TEXT_MAX], gateway[IPV4_TEXT_MAX];

	if (ip4_addr_isany_val(*netif_ip4_addr(netif))) {
		log_warn("net", "no address");
		return;
	}
	ip4addr_ntoa_r(netif_ip4_addr(netif), address, sizeof(address));
	ip4addr_ntoa_r(netif_ip4_gw(netif), gateway, sizeof(gateway));
	log_info("net", "address %s, gateway %s%s, %u ms after start", address, gateway,
		 is_static ? "" : " by DHCP", (unsigned)node_now_ms());
}

static void set_static(const struct conf *conf)
{
	ip4_addr_t address, mask, gateway = {0};
	ip_addr_t dns;
	uint32_t i;

	ip4addr_aton(conf->address, &address);
	mask.addr = lwip_htonl(~0u << (32 - conf->prefix));
	if (conf->gateway[0])
		ip4addr_aton(conf->gateway, &gateway);
	netif_set_addr(netif_default, &address, &mask, &gateway);
	for (i = 0; i < conf->nr_dns; i++) {
		ipaddr_aton(conf->dns[i], &dns);
		dns_setserver((uint8_t)i, &dns);
	}
}

void net_start(const struct conf *conf)
{
	nic_init(conf->hostname[0] ? conf->hostname : "billet");
	is_static = conf->has_address;
	netif_set_status_callback(netif_default, status_changed);
	if (is_static)
		set_static(conf);
	else if (dhcp_start(netif_default) != ERR_OK)
		log_err("net", "DHCP cannot start");
}

bool net_is_up(void)
{
	return !ip4_addr_isany_val(*netif_ip4_addr(netif_default));
}

bool net_poll(void)
{
	bool any = nic_poll();

	sys_check_timeouts();
	return any;
}

uint32_t net_next_ms(void)
{
	return sys_timeouts_sleeptime();
}

bool net_lease(struct node_lease *lease)
{
	const struct dhcp *dhcp = netif_dhcp_data(netif_default);
	const ip_addr_t *dns;
	uint8_t i;

	memset(lease, 0, sizeof(*lease));
	if (!net_is_up())
		return false;
	ip4addr_ntoa_r(netif_ip4_addr(netif_default), lease->address, sizeof(lease->address));
	if (!ip4_addr_isany_val(*netif_ip4_gw(netif_default)))
		ip4addr_ntoa_r(netif_ip4_gw(netif_default), lease->gateway, sizeof(lease->gateway));
	lease->prefix = (uint32_t)__builtin_popcount(netif_ip4_netmask(netif_default)->addr);
	for (i = 0; i < DNS_MAX_SERVERS; i++) {
		dns = dns_getserver(i);
		if (!ip_addr_isany(dns))
			ipaddr_ntoa_r(dns, lease->dns[lease->nr_dns++], IPV4_TEXT_MAX);
	}
	lease->expires_s = dhcp && !is_static ? dhcp->offered_t0_lease : 0;
	return true;
}
