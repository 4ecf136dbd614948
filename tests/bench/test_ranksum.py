"""The rank test against counts made by hand and published tables."""

import itertools

import pytest

from micro import ranksum


def by_enumeration(first, second):
    """All ways to deal the values into two hands, counted one by one."""
    values = [*first, *second]
    ranks = [(sum(v < value for v in values) + sum(v <= value for v in values) + 1) / 2
             for value in values]
    middle = len(first) * (len(values) + 1) / 2
    seen = abs(sum(ranks[:len(first)]) - middle)
    sums = [abs(sum(hand) - middle) for hand in itertools.combinations(ranks, len(first))]
    return sum(distance >= seen - 1e-9 for distance in sums) / len(sums)


class TestRankSum:
    def test_separated_sides(self):
        assert ranksum.p_value([1, 2, 3], [4, 5, 6]) == pytest.approx(2 / 20)
        assert ranksum.p_value([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / 252)

    def test_equal_values_tell_nothing(self):
        assert ranksum.p_value([5.0] * 4, [5.0] * 4) == 1.0
        assert ranksum.p_value([5.0] * 30, [5.0] * 30) == 1.0

    def test_symmetric(self):
        first, second = [3, 9, 4, 4, 12], [8, 9, 13, 15]
        assert ranksum.p_value(first, second) == pytest.approx(ranksum.p_value(second, first))

    def test_exact_agrees_with_enumeration(self):
        for first, second in (([1, 4, 2, 9], [3, 5, 8, 7, 6]), ([1, 1, 2], [2, 2, 3, 1]),
                              ([7], [1, 2, 3, 4]), ([2.5, 2.5, 3], [2.5, 4, 5])):
            expected = pytest.approx(by_enumeration(first, second))
            assert ranksum.p_value(first, second) == expected

    def test_tabled_critical_value(self):
        # Mann and Whitney's table: for n = m = 8, U <= 13 is significant at 5 %, U <= 14 is not.
        first = list(range(8))
        assert ranksum.p_value(first, self._with_u(first, 13)) < 0.05
        assert ranksum.p_value(first, self._with_u(first, 14)) > 0.05

    @staticmethod
    def _with_u(first, wanted):
        """Eight values that lie before a value of `first` in exactly `wanted` pairs."""
        second, left = [], wanted
        for _ in range(8):
            before = min(left, 8)
            second.append(8 - before - 0.5)
            left -= before
        assert sum(b < a for a in first for b in second) == wanted
        return [value + number * 1e-3 for number, value in enumerate(second)]

    def test_normal_agrees_with_exact(self):
        first = [number * 1.0 for number in range(20)]
        second = [number * 1.0 + 5.3 for number in range(20)]
        exact = ranksum.p_value(first, second)
        doubled = ranksum._doubled_ranks([*first, *second])
        normal = ranksum._normal(doubled, 20, sum(doubled[:20]))
        assert exact == pytest.approx(normal, abs=0.002)

    def test_large_sides(self):
        low, high = list(range(50)), list(range(40, 90))
        assert ranksum.p_value(low, high) < 1e-6
        even, odd = list(range(0, 100, 2)), list(range(1, 101, 2))
        assert ranksum.p_value(even, odd) > 0.8

    def test_no_values(self):
        with pytest.raises(ValueError):
            ranksum.p_value([], [1.0])
