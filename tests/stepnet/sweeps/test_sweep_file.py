"""What a sweep's file may say, and what is said of one that makes no sense."""

import pytest

from stepnet.sweeps.errors import SweepError
from stepnet.sweeps.point import Point
from stepnet.sweeps.sweep_file import CommandOptions, Range, read_sweep

COMMANDS = {
    "train": CommandOptions(
        {"data": False, "rule": False, "seed": False, "clean": True, "name": False, "rate": False},
        own=["name"],
    ),
    "evaluate": CommandOptions({"data": False, "clean": True}, takes_argument=True),
}


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "first.toml"

    def read_text(text):
        path.write_text(text)
        return read_sweep(path, COMMANDS)

    return read_text


def test_a_grid_is_every_combination(read):
    plan = read(
        """
        [sweep]
        command = "train"
        [fixed]
        data = "mnist"
        clean = true
        [grid]
        rule = ["delta", "surrogate"]
        seed = [0, 1, 0]
        """
    )
    assert (plan.name, plan.command, plan.results, plan.keep_files) == (
        "first",
        "train",
        "csv",
        True,
    )
    assert [point.text for point in plan.points] == [
        f"stepnet train --clean --data mnist --rule {rule} --seed {seed}"
        for rule in ("delta", "surrogate")
        for seed in (0, 1)
    ]


def test_points_one_by_one_come_after_the_grid(read):
    plan = read(
        """
        [sweep]
        command = "evaluate"
        name = "some"
        results = "parquet"
        keep_files = false
        [fixed]
        data = "mnist"
        clean = false
        [grid]
        network = ["digits"]
        [[points]]
        network = "ascii"
        data = "unipen"
        called = "all-characters"
        """
    )
    assert [point.text for point in plan.points] == [
        "stepnet evaluate digits --data mnist",
        "stepnet evaluate ascii --data unipen",
    ]
    assert plan.points[1].name == "all-characters"
    assert (plan.name, plan.results, plan.keep_files) == ("some", "parquet", False)


def test_without_a_grid_there_is_one_point(read):
    (point,) = read('[sweep]\ncommand = "train"\n[fixed]\nrule = "delta"').points
    assert point.text == "stepnet train --rule delta"


def test_a_search(read):
    plan = read(
        """
        [sweep]
        command = "train"
        [search]
        metric = "accuracy"
        trials = 7
        [search.space]
        rate = {low = 0.1, high = 1, log = true}
        seed = {low = 0, high = 8, step = 2}
        rule = ["delta", "surrogate"]
        """
    )
    assert plan.points == ()
    assert (plan.search.metric, plan.search.direction, plan.search.trials) == (
        "accuracy",
        "maximize",
        7,
    )
    assert plan.search.space == {
        "rate": Range(0.1, 1, None, True),
        "seed": Range(0, 8, 2),
        "rule": ("delta", "surrogate"),
    }


def test_the_key_does_not_depend_on_the_order_of_options():
    one = Point("train", {"seed": 1, "rule": "delta"})
    other = Point("train", {"rule": "delta", "seed": 1})
    assert one.key == other.key
    assert one.key != Point("train", {"rule": "delta", "seed": 2}).key
    assert one.name == f"train-{one.key}"


HEAD = '[sweep]\ncommand = "train"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "x",
            "The sweep file {} is no TOML (Expected '=' after a key in a key/value pair",
        ),
        (
            '[swep]\ncommand = "train"',
            "There is no key 'swep' in {}; did you mean 'sweep'?",
        ),
        (
            '[sweep]\ncomand = "train"',
            "There is no key 'comand' in the table [sweep] of {}; did you mean 'command'?",
        ),
        (
            '[sweep]\ncommand = "trian"',
            "In the table [sweep] of {}, command is 'trian'; did you mean 'train'?",
        ),
        (
            "[fixed]",
            "In the table [sweep] of {}, command is ''; give one of train, evaluate.",
        ),
        (
            HEAD + '[grid]\nrul = ["delta"]',
            "There is no option 'rul' in the table [grid] of {}; did you mean 'rule'?",
        ),
        (
            HEAD + "[fixed]\nxyzzy = 1",
            "There is no option 'xyzzy' in the table [fixed] of {}; there are data, rule, seed, "
            "clean, rate.",
        ),
        (
            HEAD + '[fixed]\nname = "n"',
            "The option 'name' in the table [fixed] of {} is given by the sweep itself; leave it "
            "out.",
        ),
        (
            HEAD + "[fixed]\nclean = 1",
            "The option 'clean' in the table [fixed] of {} is a flag, and 1 is none; give true or "
            "false.",
        ),
        (
            HEAD + "[fixed]\nseed = [1, 2]",
            "The option 'seed' in {} is [1, 2]; give text, a number, true or false.",
        ),
        (
            HEAD + "[grid]\nseed = 1",
            "The option 'seed' in {} is 1; give a list of values, or move it to [fixed].",
        ),
        (
            HEAD + f"[grid]\nseed = {list(range(1001))}\nrate = {list(range(1000))}",
            "The grid in {} has 1001000 points, and at most 1000000 are taken; leave some out, or "
            "use [search].",
        ),
        (
            HEAD + "[points]\nseed = 1",
            "In {}, points is no list of tables; write each as [[points]].",
        ),
        (
            HEAD + '[[points]]\nseed = 1\ncalled = "../a"',
            "A point in {} is called '../a'; give a name of letters, digits and the characters . _ "
            "+ and -.",
        ),
        (
            HEAD + '[[points]]\nseed = 1\ncalled = "a"\n[[points]]\nseed = 2\ncalled = "a"',
            "Two points in {} are called 'a'; rename one.",
        ),
        (
            '[sweep]\ncommand = "train"\nname = "a/b"',
            "The sweep in {} is called 'a/b'; give a name of letters, digits and the characters . "
            "_ + and -.",
        ),
        (
            '[sweep]\ncommand = "train"\nresults = "xlsx"',
            "In the table [sweep] of {}, results is 'xlsx'; give one of csv, parquet.",
        ),
        (
            '[sweep]\ncommand = "train"\nkeep_files = 1',
            "In {}, keep_files is 1; give true or false.",
        ),
        (
            HEAD + '[grid]\nseed = [1]\n[search]\nmetric = "a"',
            "The file {} has [grid] and [search]; a search chooses its points, so leave one of "
            "them out.",
        ),
        (
            HEAD + "[search]\n[search.space]\nseed = [1]",
            "The search in {} needs a metric, which is an entry of what the command prints with "
            "--json, and a [search.space].",
        ),
        (
            HEAD + '[search]\nmetric = "a"\ntrials = 0\n[search.space]\nseed = [1]',
            "In the table [search] of {}, trials is 0; give a whole number from 1 on.",
        ),
        (
            HEAD + '[search]\nmetric = "a"\ndirection = "max"\n[search.space]\nseed = [1]',
            "In the table [search] of {}, direction is 'max'; give one of maximize, minimize.",
        ),
        (
            HEAD + '[fixed]\nseed = 1\n[search]\nmetric = "a"\n[search.space]\nseed = [1]',
            "The option 'seed' is in [fixed] and in [search.space] of {}; leave one out.",
        ),
        (
            HEAD + '[search]\nmetric = "a"\n[search.space]\nseed = {low = 3, high = 1}',
            "The range of 'seed' in {} is {{'low': 3, 'high': 1}}; give numbers low and high, low "
            "no larger than high, and step or, above 0, log = true.",
        ),
        (
            HEAD + '[search]\nmetric = "a"\n[search.space]\nseed = {lo = 3, high = 1}',
            "There is no key 'lo' in the table [search.space.seed] of {}; did you mean 'low'?",
        ),
    ],
)
def test_files_that_make_no_sense(read, tmp_path, text, sentence):
    with pytest.raises(SweepError) as refused:
        read(text)
    expected = sentence.format(repr(str(tmp_path / "first.toml")))
    if text == "x":
        assert str(refused.value).startswith(expected)
    else:
        assert str(refused.value) == expected


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SweepError) as refused:
        read_sweep(tmp_path / "nowhere.toml", COMMANDS)
    assert str(refused.value) == (
        f"The sweep file {str(tmp_path / 'nowhere.toml')!r} cannot be read (No such file or "
        "directory); name a .toml as docs/sweeps.md has it."
    )
