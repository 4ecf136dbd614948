"""The fields by which a micro-VM's network reports itself, filled from our cells.

People know these names, so the lab fills every one of them for every engine, in the unit that the
name says. Which cell a field comes from, and what that cell measures:

    field                          cell                   what it is
    tcp_throughput_g2h_mbps        tcp-out mtu1500 P1     one iperf3 stream, guest to host, 10^6
                                                          bit/s at the receiver
    tcp_throughput_h2g_mbps        tcp-in mtu1500 P1      the same from host to guest
    tcp_bulk_throughput_g2h_mbps   transfer out           one whole file from the first byte to the
                                                          check of the last, MTU 65520
    tcp_rr_latency_us_p50, _p99    rr p50                 one byte there and back, never two in
                                                          flight
    tcp_crr_latency_us_p50         crr p50                connect, one byte there and back, close
    udp_dns_qps                    dns new names          questions a second through the engine's
                                                          resolver address, 16 at once, each name
                                                          new, so that no cache answers
    icmp_rr_latency_us_p50         icmp-rr p50            echo request to answer
    tcp_rx_latency_us_p50          tcp-rx one-way p50     the delay of one packet from host to guest
                                                          on an open connection, by one clock

A field is null where its cell was no part of the run, or the engine could not do it. `direct` is
there too: what the machine does without an engine.
"""

# field: (cell, key of its summary, factor)
FIELDS = {
    "tcp_throughput_g2h_mbps": ("tcp-out mtu1500 P1", "median", 1e3),
    "tcp_throughput_h2g_mbps": ("tcp-in mtu1500 P1", "median", 1e3),
    "tcp_bulk_throughput_g2h_mbps": ("transfer out", "median", 1e3),
    "tcp_rr_latency_us_p50": ("rr p50", "median", 1.0),
    "tcp_rr_latency_us_p99": ("rr p50", "p99_ns", 1e-3),
    "tcp_crr_latency_us_p50": ("crr p50", "median", 1.0),
    "udp_dns_qps": ("dns new names", "median", 1.0),
    "icmp_rr_latency_us_p50": ("icmp-rr p50", "median", 1.0),
    "tcp_rx_latency_us_p50": ("tcp-rx one-way p50", "median", 1.0),
}


def fields(cells, engines):
    """{engine: {field: figure or None}} from the `cells` of a document."""
    summaries = {cell["name"]: cell["summary"] for cell in cells}

    def figure(engine, cell, key, factor):
        value = summaries.get(cell, {}).get(engine, {}).get(key)
        return None if value is None else value * factor

    return {engine: {field: figure(engine, *source) for field, source in FIELDS.items()}
            for engine in engines}
