"""Settings: every fault is found in one pass, with its place, what is allowed and the nearest name."""

import pytest

from tunesmith import config, recipes
from tunesmith.errors import UserError


def sft(*words):
    return dict(config.apply(recipes.load("sft"), config.from_words(words)).stages)["sft"]


def test_overrides_reach_nested_fields_with_their_types():
    stage = sft(
        "tune.lr=1e-5", "tune.epochs=2", "adapter=lora", "data=[a.json, b.json]", "tune.gradient_checkpointing=true"
    )
    assert (stage.tune.lr, stage.tune.epochs, stage.adapter, stage.data) == (1e-5, 2.0, "lora", ("a.json", "b.json"))
    assert stage.tune.gradient_checkpointing is True


def test_one_path_is_a_list_of_one():
    assert sft("data=a.json").data == ("a.json",)


@pytest.mark.parametrize(
    ("word", "needle"),
    [
        ("tune.learning_rate=1", "tune.lr"),
        ("tune.epoch=1", "did you mean 'tune.epochs'"),
        ("epochs=1", "did you mean 'tune.epochs'"),
        ("templat=alpaca", "did you mean 'template'"),
        ("adapter=lorra", "'full', 'lora'"),
        ("tune.lr=fast", "number"),
        ("tune.lr=-1", "greater than 0"),
        ("tune.lr=.nan", "finite"),
        ("tune.batch_size=2.5", "integer"),
        ("tune.precision=fp16", "'bf16' or 'bf16_sr'"),
        ("tune=3", "takes no value of its own"),
        ("base.x=3", "takes no value of its own"),
        ("tune.lr=[", "YAML"),
    ],
)
def test_a_wrong_setting_is_refused_with_place_and_cure(word, needle):
    with pytest.raises(UserError) as caught:
        sft(word)
    assert needle in str(caught.value)
    assert word in str(caught.value)


def test_a_yaml_tells_all_faults_at_once_with_their_lines(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("recipe: sft\nbase: nano\ntune:\n  lr: fast\n  epoks: 3\nadaptor: lora\n")
    name, assignments = config.from_yaml(file)
    with pytest.raises(UserError) as caught:
        config.apply(recipes.load(name), assignments)
    text = str(caught.value)
    assert f"{file}:4: " in text
    assert f"{file}:5: unknown key 'tune.epoks' → did you mean 'tune.epochs'?" in text
    assert f"{file}:6: unknown key 'adaptor' → did you mean 'adapter'?" in text


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("a: [", ":1: not valid YAML"),
        ("- 1", "no settings"),
        ("base: x", "no key 'recipe'"),
        ("", "no settings"),
        ("recipe: sft\nbase: a\nbase: b", "stands already on line 2"),
    ],
)
def test_a_broken_yaml_is_refused(text, needle, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=needle):
        config.from_yaml(file)


def test_a_stage_is_named_where_the_key_alone_is_ambiguous():
    quickstart = recipes.load("quickstart")
    with pytest.raises(UserError, match="several stages"):
        config.apply(quickstart, config.from_words(["template=alpaca"]))
    changed = config.apply(quickstart, config.from_words(["sft.template=alpaca", "tune.lr=1e-4", "heldout=100"]))
    assert dict(changed.stages)["sft"].template == "alpaca"
    assert dict(changed.stages)["sft"].tune.lr == 1e-4


@pytest.mark.parametrize("name", recipes.names())
def test_every_shipped_recipe_is_plain_data_and_tells_its_source(name):
    recipe = recipes.load(name)
    assert recipe.name == name
    assert config.to_json(recipe)["recipe"] == name
    assert recipes.source(name).split(":")[0].endswith(f"{name}.py")
    assert config.diff(recipe, recipe) == []


def test_diff_tells_each_setting_that_differs():
    changes = config.diff(recipes.load("sft"), recipes.load("alpaca"))
    assert "tune.batch_size: 32 → 128" in changes
    assert "template: auto → alpaca" in changes


def test_a_recipe_file_of_ones_own_is_loaded_by_path(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from tunesmith.recipe import Recipe, Tune\n"
        "def mine():\n    return Recipe('mine', 'mine', (('sft', Tune(base='x')),))\n"
    )
    assert recipes.load(str(file)).name == "mine"
    file.write_text("def other(): pass")
    with pytest.raises(UserError, match="no function mine"):
        recipes.load(str(file))


def test_an_unknown_recipe_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 'alpaca'"):
        recipes.load("alpacca")
