"""The Mann-Whitney U test, two-sided: may two sets of timings come from one distribution?

It compares ranks, so that one run which a neighbour on the machine disturbed weighs no more than
any other. Equal values share the mean of their ranks.
"""

import math

# Up to this many values the distribution of the rank sum is counted out; beyond, it is normal
# closely enough (Mann and Whitney, 1947, find it so from eight a side).
EXACT_UP_TO = 40


def p_value(first, second):
    """The probability of ranks at least this far apart when there is no difference."""
    if not first or not second:
        raise ValueError("both sides need at least one value")
    doubled = _doubled_ranks([*first, *second])
    observed = sum(doubled[:len(first)])
    if len(doubled) <= EXACT_UP_TO:
        return _exact(doubled, len(first), observed)
    return _normal(doubled, len(first), observed)


def _doubled_ranks(values):
    """Twice the rank of each value: a mean of ranks is then a whole number."""
    order = sorted(values)
    first, last = {}, {}
    for position, value in enumerate(order, start=1):
        first.setdefault(value, position)
        last[value] = position
    return [first[value] + last[value] for value in values]


def _exact(doubled, size, observed):
    # ways[k][s]: how many choices of k of the values have doubled ranks that sum to s.
    ways = [{} for _ in range(size + 1)]
    ways[0][0] = 1
    for rank in doubled:
        for chosen in range(size, 0, -1):
            target = ways[chosen]
            for total, count in ways[chosen - 1].items():
                target[total + rank] = target.get(total + rank, 0) + count
    # The mean of the sum is size / n of all ranks; times n, so that it stays whole.
    count = len(doubled)
    middle = size * sum(doubled)
    distance = abs(observed * count - middle)
    extreme = sum(many for total, many in ways[size].items()
                  if abs(total * count - middle) >= distance)
    return extreme / math.comb(count, size)


def _normal(doubled, size, observed):
    count = len(doubled)
    other = count - size
    mean = size * (count + 1) / 2
    ties = {}
    for rank in doubled:
        ties[rank] = ties.get(rank, 0) + 1
    shrink = sum(many ** 3 - many for many in ties.values()) / (count * (count - 1))
    variance = size * other / 12 * (count + 1 - shrink)
    if variance == 0:
        return 1.0  # All values are equal.
    # Half a rank nearer: a sum of ranks moves in steps of one.
    distance = max(0.0, abs(observed / 2 - mean) - 0.5)
    return math.erfc(distance / math.sqrt(2 * variance))
