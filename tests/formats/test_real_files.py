"""Counts and contents on real files, against numbers that were found without this code."""

import json

import pytest

from tunesmith import formats
from tunesmith.records import Comparison, Conversation, Document

# path below the shared data, format, kept, refused
FILES = [
    ("tatsu-lab__stanford_alpaca/alpaca_data.json", "alpaca", 51974, 28),
    ("tatsu-lab__stanford_alpaca/seed_tasks.jsonl", "self_instruct", 175, 0),
    ("LianjiaTech__BELLE/_history/train/utils/data/dev1K.json", "alpaca", 1000, 0),
    ("LianjiaTech__BELLE/data/1.5M/zh_seed_tasks.json", "self_instruct", 175, 0),
    ("LianjiaTech__BELLE/eval/eval_set.json", "prompts", 1000, 0),
    ("SCIR-HI__Huatuo-Llama-Med-Chinese/data/llama_data.json", "alpaca", 8658, 0),
    ("hikariming__chat-dataset-baseline/data/COIG-CQIA-sample.json", "alpaca", 2, 0),
    ("rasbt__LLMs-from-scratch/ch07/01_main-chapter-code/instruction-data.json", "alpaca", 1100, 0),
    ("rasbt__LLMs-from-scratch/ch07/05_dataset-generation/instruction-data-llama3-7b.json", "alpaca", 4, 1),
    ("Lightning-AI__litgpt/tests/data/_fixtures/alpaca.json", "alpaca", 23, 0),
    ("Lightning-AI__litgpt/tests/data/_fixtures/dolly.json", "dolly", 12, 0),
    ("lm-sys__FastChat/data/dummy_conversation.json", "sharegpt", 500, 0),
    ("axolotl-ai-cloud__axolotl/tests/fixtures/conversation.json", "sharegpt", 1, 0),
    ("thinking-machines-lab__tinker-cookbook/tinker_cookbook/example_data/conversations.jsonl", "openai", 128, 0),
    ("hiyouga__LLaMA-Factory/data/v1_sft_demo.jsonl", "openai", 500, 0),
    ("hiyouga__LLaMA-Factory/data/v1_multimodal_demo.jsonl", "openai", 24, 0),
    ("hiyouga__LLaMA-Factory/data/v1_dpo_demo.jsonl", "preference", 10, 0),
    ("hiyouga__LLaMA-Factory/data/c4_demo.jsonl", "text", 300, 0),
    ("pytorch__torchtune/tests/assets/hh_rlhf_tiny.json", "preference", 1, 0),
    ("pytorch__torchtune/tests/assets/stack_exchange_paired_tiny.json", "preference", 25, 0),
    ("princeton-nlp__LLMBar/Dataset/LLMBar/Natural/dataset.json", "preference", 100, 0),
    ("anthropics__hh-rlhf/harmless-base/test.jsonl.gz", "hh_rlhf", 2299, 13),
    ("google-research__FLAN/flan/v2/cot_data/aqua_train.tsv", "flan_cot", 2728, 0),
    ("google-research__FLAN/flan/v2/cot_data/creak_train.tsv", "flan_cot", 6915, 0),
    ("google-research__FLAN/flan/v2/cot_data/gsm8k_train.tsv", "flan_cot", 7473, 0),
    ("openai__grade-school-math/grade_school_math/data/train.jsonl", "input_target", 7473, 0),
    ("UKGovernmentBEIS__inspect_ai/src/inspect_ai/dataset/_examples/security_guide.jsonl", "input_target", 16, 0),
    ("instructlab__eval/tests/testdata/sdg/tonsil_data.jsonl", "input_target", 27, 0),
    ("lm-sys__FastChat/fastchat/llm_judge/data/mt_bench/question.jsonl", "prompts", 80, 0),
    ("lm-sys__FastChat/fastchat/llm_judge/data/vicuna_bench/question.jsonl", "prompts", 80, 0),
    ("haotian-liu__LLaVA/llava/eval/table/question.jsonl", "prompts", 80, 0),
    ("nlpxucan__WizardLM/WizardLM/data/WizardLM_testset.jsonl", "prompts", 218, 0),
    ("thunlp__UltraChat/data/ultra_eval.json", "prompts", 385, 0),
    ("allenai__open-instruct/open_instruct/test_data/rlvr_test.jsonl", "prompts", 100, 0),
    ("UKGovernmentBEIS__inspect_ai/tests/model/gatsby.txt", "text", 1, 0),
]
FOLDERS = [
    ("anonymousGPT__natural-instructions-v1/tasks", "natural_instructions", 19315, 0),
    ("circle-hit__SAPT/CL_Benchmark/SuperNI", "natural_instructions", 8954, 6),
    ("suzgunmirac__BIG-Bench-Hard/bbh", "input_target", 6511, 0),
]


@pytest.mark.parametrize(("path", "format", "kept", "refused"), FILES + FOLDERS)
def test_format_and_counts(shared, read, path, format, kept, refused):
    assert formats.detect(str(shared / path)) == format
    records, refusals = read(shared / path)
    assert (len(records), len(refusals)) == (kept, refused)


@pytest.mark.parametrize(("path", "format", "kept", "refused"), FILES)
def test_what_is_written_reads_back_the_same(shared, save, read, path, format, kept, refused):
    records, _ = read(shared / path)
    records = records[:300]
    rows = [formats.named(format).write(record) for record in records]
    again, faults = read(save("again.jsonl", rows), format=format)
    assert not faults
    assert [parts_of(record) for record in again] == [parts_of(record) for record in records]


def parts_of(record):
    """All of a record but where it was read."""
    if isinstance(record, Conversation):
        return record.messages, record.tools, record.licence, sorted(record.tags)
    if isinstance(record, Comparison):
        return record.prompt, record.chosen, record.rejected
    return record.text if isinstance(record, Document) else (record.desirable, parts_of(record.conversation))


def test_alpaca_rows_equal_the_file_and_know_their_lines(shared, read):
    path = shared / "tatsu-lab__stanford_alpaca/alpaca_data.json"
    rows = [row for row in json.loads(path.read_text()) if row["output"].strip()]
    lines = path.read_text().splitlines()
    records, refusals = read(path)
    for row, record in zip(rows, records, strict=True):
        question, answer = record.messages
        named = {part.name: part.text for part in question.parts}
        assert (named["instruction"], named.get("input", ""), answer.text) == (
            row["instruction"],
            row["input"],
            row["output"],
        )
    for row, record in zip(rows[::997], records[::997], strict=True):
        assert lines[record.origin.line - 1].strip() == "{"
        assert json.loads(lines[record.origin.line].strip()[len('"instruction": ') :].rstrip(",")) == row["instruction"]
    assert {refusal.field for refusal in refusals} == {"output"}


def test_llama_factory_registry_is_read_as_it_is(shared, read):
    folder = shared / "hiyouga__LLaMA-Factory/data"
    found = {source.name.rsplit("/", 1)[1]: source.format for source in formats.sources([str(folder)])}
    assert found == {
        "identity.json": "alpaca",
        "alpaca_en_demo.json": "alpaca",
        "alpaca_zh_demo.json": "alpaca",
        "glaive_toolcall_en_demo.json": "sharegpt",
        "glaive_toolcall_zh_demo.json": "sharegpt",
        "mllm_demo.json": "sharegpt",
        "mllm_audio_demo.json": "sharegpt",
        "mllm_video_demo.json": "sharegpt",
        "mllm_video_audio_demo.json": "sharegpt",
        "dpo_en_demo.json": "preference",
        "dpo_zh_demo.json": "preference",
        "kto_en_demo.json": "kto",
        "wiki_demo.txt": "text",
        "c4_demo.jsonl": "text",
        "dataset_info.json": "-",
    }
    records, refusals = read(folder)
    assert len(records) == 91 + 999 + 1000 + 300 + 6 + 3 + 299 + 1 + 300
    reasons = sorted(refusal.reason.split(",")[0] for refusal in refusals)
    assert reasons.count("does not exist") == 5
    assert reasons.count("is not listed in dataset_info.json") == 3


def test_registry_entry_alone(shared, read):
    path = shared / "hiyouga__LLaMA-Factory/data/dataset_info.json"
    (first, *others), refusals = read(f"{path}#mllm_demo")
    assert len(others) == 5
    assert not refusals
    question = first.messages[0].parts
    assert [(part.kind, part.source, part.text) for part in question] == [
        ("image", "mllm_demo_data/1.jpg", ""),
        ("text", "", "Who are they?"),
    ]
    assert [part.kind for part in first.messages[2].parts] == ["text", "image"]


def test_tool_calls_of_glaive(shared, read):
    path = shared / "hiyouga__LLaMA-Factory/data/glaive_toolcall_en_demo.json"
    records, _ = read(path)
    first = records[0]
    assert first.tools[0]["name"] == "search_recipes"
    asking = next(message for message in first if message.tool_calls)
    assert asking.role == "assistant"
    assert asking.tool_calls[0].name == "search_recipes"
    assert asking.tool_calls[0].arguments["ingredients"] == ["chicken", "bell peppers", "rice"]
    assert {message.role for message in first} == {"user", "assistant", "tool"}


def test_damaged_translation_keeps_all_whole_records(shared, read):
    folder = shared / "hikariming__chat-dataset-baseline/history/翻译后的中文数据"
    records, refusals = read(folder / "alpaca_data-9407-12345-中文-未完成.json")
    assert len(records) == 2799
    assert [refusal.reason for refusal in refusals] == ["is empty", "is empty", "a comma with no record after it"]
    assert refusals[-1].origin.line == 14006


def test_hh_pairs_share_their_prompt(shared, read):
    records, refusals = read(shared / "anthropics__hh-rlhf/harmless-base/test.jsonl.gz")
    first = records[0]
    assert isinstance(first, Comparison)
    assert first.prompt[-1].role == "user"
    assert first.prompt[0].text == "what are some pranks with a pen i can do?"
    assert first.chosen != first.rejected
    assert {refusal.reason for refusal in refusals} == {"is empty", "two assistant turns in a row"}


def test_natural_instructions_hold_definition_input_and_references(shared, read):
    path = shared / "anonymousGPT__natural-instructions-v1/tasks"
    first, second = (sorted(path.glob("*.json"))[i] for i in (0, 1))
    question = read(first)[0][0].messages[0]
    assert [part.name for part in question.parts] == ["definition", "avoid", "caution", "prompt", "input"]
    record = read(second)[0][0]
    assert [part.name for part in record.messages[0].parts] == ["definition", "caution", "prompt", "input"]
    assert record.messages[1].text == "a month."
    assert next(words for name, words in record.tags if name == "reference") == "a billion weeks."


def test_definition_after_the_instances_counts(shared, read):
    path = shared / "circle-hit__SAPT/CL_Benchmark/SuperNI/task363_sst2_polarity_classification/test.json"
    assert list(json.loads(path.read_text()))[-1] == "Definition"
    record = read(path)[0][0]
    assert record.messages[0].parts[0].name == "definition"


def test_flan_rationale_stands_before_the_answer_with_real_line_breaks(shared, read):
    record = read(shared / "google-research__FLAN/flan/v2/cot_data/aqua_train.tsv")[0][0]
    question, answer = record.messages
    assert "\nOptions:\n(A) 300\n" in question.text
    assert [part.name for part in answer.parts] == ["rationale", "answer"]
    assert answer.parts[1].text == "(C)"


def test_mt_bench_turns_end_with_the_user(shared, read):
    record = read(shared / "lm-sys__FastChat/fastchat/llm_judge/data/mt_bench/question.jsonl")[0][0]
    assert [message.role for message in record] == ["user", "user"]
    assert ("category", "writing") in record.tags


def test_rows_whose_question_needs_another_field_are_not_guessed(shared):
    assert formats.detect(str(shared / "ruixiangcui__AGIEval/data/v1/logiqa-en.jsonl")) == "unknown"
    assert formats.detect(str(next((shared / "haonan-li__CMMLU/data/dev").glob("*.csv")))) == "unknown"
