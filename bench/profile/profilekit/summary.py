"""What was found, for people: tables of functions, system calls and allocations."""

from . import stacks

KIND_WORDS = {"engine": "engine", "library": "libraries", "kernel": "kernel",
              "unknown": "unknown"}


def function_lines(samples, limit=25):
    whole = sum(samples.values())
    if not whole:
        return ["no samples: it used no processor time"]
    shares = stacks.by_kind(samples)
    lines = [f"{whole:,} samples: " + ", ".join(
        f"{KIND_WORDS[kind]} {count / whole:.0%}" for kind, count in shares.items() if count),
        f"{'self':>6}  {'total':>6}  function"]
    for frame, own, total in stacks.hottest(samples, limit):
        lines.append(f"{own / whole:6.1%}  {total / whole:6.1%}  {frame.label}"
                     f"  [{KIND_WORDS[frame.kind]}]")
    return lines


def syscall_lines(rows, work, unit):
    if not rows:
        return ["no system calls"]
    lines = [f"{'calls':>10}  {'errors':>8}  {'seconds':>8}  {'per ' + unit:>11}  name"]
    total = {"name": "total", **{key: sum(row[key] for row in rows)
                                 for key in ("calls", "errors", "seconds")}}
    for row in [*rows, total]:
        lines.append(f"{row['calls']:>10,}  {row['errors']:>8,}  {row['seconds']:>8.3f}  "
                     f"{row['calls'] / work.amount:>11.3f}  {row['name']}")
    return lines


def allocation_line(counted, work, unit):
    made = counted["allocations"] + counted["reallocations"]
    return (f"{made:,} allocations ({counted['reallocations']:,} of them realloc), "
            f"{counted['bytes']:,} bytes, {counted['frees']:,} frees: "
            f"{made / work.amount:.4f} per {unit}")
