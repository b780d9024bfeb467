"""Mixtures as they were published, and what holds for all of them."""

import re
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.mix import allot, capped, largest, level, portions, rate, whole

FLAN_2022 = {"flan": 0.40, "t0": 0.32, "niv2": 0.20, "cot": 0.05, "dialog": 0.03}
CAPS = {"flan": 30_000, "t0": 20_000, "niv2": 5_000, "cot": 100_000, "dialog": 200_000}
OPT_IML = {"crossfit": 4, "exmix": 2, "flan": 20, "niv2": 25, "promptsource": 45, "t5": 2, "u-skg": 2}

sizes = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 5000), min_size=1)


def test_largest_remainders_make_up_the_total():
    assert whole({"a": 47, "b": 16, "c": 15.8, "d": 12, "e": 6.1, "f": 3.1}, 10) == {
        "a": 5, "b": 2, "c": 1, "d": 1, "e": 1, "f": 0,
    }  # fmt: skip
    assert whole({"a": 1, "b": 1, "c": 1}, 10) == {"a": 4, "b": 3, "c": 3}
    assert whole({"a": 0.1, "b": 0.2, "c": 0.7}, 1000) == {"a": 100, "b": 200, "c": 700}


def test_flan_2021_examples_count_up_to_a_rate_of_3000():
    assert [capped(size, 3000) for size in (392_702, 2_490, 3_000)] == [3000, 2490, 3000]
    rates = {name: rate(capped(size, 3000)) for name, size in {"mnli": 392_702, "rte": 2_490}.items()}
    assert whole(rates, 5490) == {"mnli": 3000, "rte": 2490}


def test_flan_2022_shares_of_100_000_are_those_of_tulu():
    tasks = {(group, f"{group}{n}"): 10_000 * (n + 1) for group in FLAN_2022 for n in range(5)}
    rates = {task: rate(capped(size, CAPS[task[0]])) for task, size in tasks.items()}
    found = allot(rates, 100_000, {task: task[0] for task in tasks}, FLAN_2022)
    sums = {group: sum(rows for task, rows in found.items() if task[0] == group) for group in FLAN_2022}
    assert sums == {"flan": 40_000, "t0": 32_000, "niv2": 20_000, "cot": 5_000, "dialog": 3_000}
    assert [found["niv2", f"niv2{n}"] for n in range(5)] == [4000] * 5  # all are over the cap of 5,000
    assert [found["flan", f"flan{n}"] for n in range(5)] == [3333, 6667, 10_000, 10_000, 10_000]  # cap 30,000


def test_opt_iml_caps_each_task_at_4096_before_the_collections_get_their_shares():
    tasks = {("niv2", "small"): 1024, ("niv2", "large"): 1_000_000} | {(name, "x"): 9999 for name in OPT_IML}
    del tasks["niv2", "x"]
    rates = {task: rate(capped(size, 4096)) for task, size in tasks.items()}
    found = allot(rates, 10_000, {task: task[0] for task in tasks}, OPT_IML)
    assert found["niv2", "small"] == 500  # 1024 : 4096 of 25 %
    assert found["niv2", "large"] == 2000
    assert {name: found[name, "x"] for name in OPT_IML if name != "niv2"} == {
        name: share * 100 for name, share in OPT_IML.items() if name != "niv2"
    }


def test_instructblip_samples_by_the_root_of_the_size():
    found = whole({name: rate(size, "sqrt") for name, size in {"vqa": 360_000, "okvqa": 10_000}.items()}, 700)
    assert found == {"vqa": 600, "okvqa": 100}
    assert rate(10_000, temperature=2) == rate(10_000, "sqrt")


def test_lima_samples_exchanges_at_temperature_3():
    assert whole({size: rate(size, temperature=3) for size in (1, 8, 27)}, 600) == {1: 100, 8: 200, 27: 300}


def test_video_llama_weighs_its_sources_100_to_24():
    weights = {"webvid": 100.0, "cc3m": 24.0}
    rates = {name: rate(size, "equal", weight=weights[name]) for name, size in {"webvid": 7, "cc3m": 900}.items()}
    assert whole(rates, 1240) == {"webvid": 1000, "cc3m": 240}


def test_the_languages_of_xp3_add_up(shared):
    text = (shared / "bigscience-workshop__xmtf/xp3capmixnewcodelong_train.txt").read_text()
    weights = {name: float(weight) for weight, name in re.findall(r"([\d.]+) 0:0\.950 \S+/xp3_(\w+)", text)}
    found = whole(weights, 1_000_000)
    assert len(found) == 46
    assert sum(found.values()) == 1_000_000
    assert found["en"] == 387_164  # 39.246 % of weights that add up to 101.37 %


@given(st.dictionaries(st.text(max_size=3), st.floats(0.001, 1e6), min_size=1), st.integers(0, 10**6))
def test_counts_are_exact_and_within_one_row_of_their_part(weights, total):
    found = whole(weights, total)
    assert sum(found.values()) == total
    weighs = sum(map(Fraction, weights.values()))
    assert all(abs(found[name] - total * Fraction(weight) / weighs) < 1 for name, weight in weights.items())


@given(st.dictionaries(st.text(max_size=3), st.floats(0.001, 1e6), min_size=1), st.integers(0, 1000), st.randoms())
def test_counts_do_not_hang_on_the_order_of_the_parts(weights, total, chance):
    shuffled = list(weights.items())
    chance.shuffle(shuffled)
    assert whole(dict(shuffled), total) == whole(weights, total)


@given(
    st.dictionaries(st.tuples(st.sampled_from("xyz"), st.sampled_from("abcde")), st.integers(1, 300), min_size=1),
    st.tuples(*[st.integers(1, 50)] * 3),
    st.sampled_from(["proportional", "sqrt", "equal"]),
    st.booleans(),
)
def test_the_largest_total_takes_from_no_part_more_than_it_has(parts, weights, rule, grouped):
    rates = {part: rate(size, rule) for part, size in parts.items()}
    groups = {part: part[0] for part in parts}
    present = set(groups.values())
    shares = {group: weight for group, weight in zip("xyz", weights, strict=True) if group in present and grouped}
    total = largest(portions(rates, groups, shares), parts)
    found = allot(rates, total, groups, shares, parts)
    assert sum(found.values()) == total
    assert all(found[part] <= size for part, size in parts.items())


def test_a_row_that_rounding_gives_a_group_goes_to_a_part_that_has_one_left():
    weights = {(group, part): weight for group in "vwxyz" for part, weight in {"a": 0.45, "b": 0.45, "c": 0.1}.items()}
    groups, shares = {part: part[0] for part in weights}, dict.fromkeys("vwxyz", 1.0)
    most = {part: 1 if part[0] == "v" else 9 for part in weights}
    total = largest(portions(weights, groups, shares), most)
    assert total == 11  # 2.2 rows a group: one group gets a third row, though a and b of it have given theirs
    found = allot(weights, total, groups, shares, most)
    assert [found["v", part] for part in "abc"] == [1, 1, 1]


def test_the_largest_total_of_sizes_is_all_rows():
    rates = {"a": 30.0, "b": 7.0}
    assert largest(portions(rates), {"a": 30, "b": 7}) == 37
    assert largest(portions({"a": 1.0, "b": 1.0}), {"a": 30, "b": 7}) == 14


@given(sizes, st.integers(0, 10_000))
def test_a_level_is_as_even_as_the_sizes_allow(sizes, total):
    found = level(sizes, total)
    assert sum(found.values()) == min(total, sum(sizes.values()))
    short = [found[part] for part in sizes if found[part] < sizes[part]]
    assert all(found[part] <= sizes[part] for part in sizes)
    assert not short or max(found.values()) - min(short) <= 1
