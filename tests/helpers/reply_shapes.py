"""Shapes of chat replies, each as one server or gateway sends it, and what is read of it.

The shapes marked *seen* came from servers that ran here; the others follow the documentation, or reports, of the
server that is named. docs/judge.md shows the same table.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import log
from typing import Any

YES = '{"verdict": "valid"}'
NO = '{"verdict": "invalid"}'
USAGE = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}


@dataclass(frozen=True)
class Shape:
    """One shape: who sends it, what is special about it, the body, and what is read of it."""

    server: str
    shape: str
    body: str
    outcome: str
    probability: float | None = None
    tokens: tuple[int, int, int] | None = (100, 5, 0)
    """Tokens read, written and cached; None where the reply does not tell."""

    @property
    def row(self) -> str:
        """The row of the table in docs/judge.md."""
        read = self.outcome if self.probability is None else f"{self.outcome}, with its probability"
        return f"| {self.server} | {self.shape} | {read} |"


@dataclass(frozen=True)
class _Reply:
    content: Any
    finish: Any = "stop"
    usage: dict[str, Any] | None = field(default_factory=lambda: dict(USAGE))
    message: dict[str, Any] = field(default_factory=dict)
    choice: dict[str, Any] = field(default_factory=dict)

    @property
    def raw(self) -> str:
        message = {"role": "assistant", "content": self.content} | self.message
        choice = {"index": 0, "message": message, "finish_reason": self.finish} | self.choice
        return json.dumps({"model": "m", "object": "chat.completion", "choices": [choice], "usage": self.usage})


def _reply(content: Any, **how: Any) -> str:
    return _Reply(content, **how).raw


def _token(token: str, **tops: float) -> dict[str, Any]:
    listed = [{"token": word, "logprob": log(p), "bytes": None} for word, p in tops.items()]
    return {"token": token, "logprob": 0.0, "bytes": None, "top_logprobs": listed}


def _with_chances(*tokens: dict[str, Any]) -> str:
    content = "".join(token["token"] for token in tokens)
    return _reply(content, choice={"logprobs": {"content": list(tokens)}})


def _one_token(token: str, p: float | None, **tops: float | None) -> dict[str, Any]:
    """Return a token in other ways: with its own probability only, or with tokens that cannot come, as null."""
    listed = [{"token": word, "logprob": None if p_ is None else log(p_)} for word, p_ in tops.items()]
    return {"token": token, "logprob": None if p is None else log(p), "top_logprobs": listed or None}


_WORDS = [_token('{"'), _token("ver"), _token("dict"), _token('":'), _token(' "')]
_THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hmm."}]}
_SUMMARY = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hmm."}]}
_TEXT = {"type": "text", "text": YES}

SHAPES = [
    Shape("OpenAI", "the exact object", _reply(YES), "valid"),
    Shape("OpenAI", "logprobs at the answer's token",
          _with_chances(*_WORDS, _token("valid", valid=0.8, invalid=0.15, uns=0.05), _token('"}')), "valid", 0.825),
    Shape("OpenAI", "cached tokens in `prompt_tokens_details`",
          _reply(YES, usage=USAGE | {"prompt_tokens_details": {"cached_tokens": 64}}), "valid", tokens=(100, 5, 64)),
    Shape("OpenAI", "`refusal` beside no content", _reply(None, message={"refusal": "I cannot."}), "refused"),
    Shape("OpenAI", "end `length`: the answer was cut", _reply('{"verdict": "va', finish="length"), "unparseable"),
    Shape("OpenAI", "reasoning used up the limit, content empty", _reply("", finish="length"), "unparseable"),
    Shape("Azure OpenAI", "end `content_filter`", _reply("", finish="content_filter"), "refused"),
    Shape("Azure OpenAI", "filter results beside the message",
          _reply(YES, choice={"content_filter_results": {"hate": {"filtered": False}}}), "valid"),
    Shape("vLLM", "only the end of a think block (the template began it)",
          _reply(f"Let me see.\n</think>\n\n{YES}"), "valid"),
    Shape("vLLM", "`reasoning_content` beside the content",
          _reply(YES, message={"reasoning_content": "Hmm."}), "valid"),
    Shape("vLLM", "`stop_reason` and `prompt_logprobs` more", _reply(YES, choice={"stop_reason": 151645}), "valid"),
    Shape("vLLM", "a token that holds the quotation mark and the word",
          _with_chances(_token('{"verdict":'), _token(' "invalid', **{' "invalid': 0.9, ' "valid': 0.1}), _token('"}')),
          "invalid", 0.1),
    Shape("SGLang", "`matched_stop`, a think block that is empty", _reply(f"<think>\n\n</think>\n\n{NO}"), "invalid"),
    Shape("SGLang", "end `abort`", _reply(YES, finish="abort"), "unparseable"),
    Shape("llama.cpp server (seen)", "`timings` more, logprobs without the grammar",
          _with_chances(*_WORDS, _token("invalid", invalid=0.6, valid=0.3, True_=0.1), _token('"}'), _token("")),
          "invalid", 1 / 3),
    Shape("llama.cpp server (seen)", "white space around and inside the object", _reply(f"\n {{\n  {YES[1:-1]} }} \n"),
          "valid"),
    Shape("llama_cpp.server", "end null", _reply(YES, finish=None), "valid"),
    Shape("Ollama", "a think block of several lines", _reply(f"<think>\nOne.\nTwo.\n</think>\n{YES}"), "valid"),
    Shape("Ollama", "a think block without an end", _reply(f"<think>\nOne. {YES}"), "unparseable"),
    Shape("Ollama", "`reasoning` beside the content", _reply(NO, message={"reasoning": "Hmm."}), "invalid"),
    Shape("LM Studio", "a code fence with `json`", _reply(f"```json\n{YES}\n```"), "valid"),
    Shape("LM Studio", "a code fence without an end", _reply(f"```json\n{YES}"), "unparseable"),
    Shape("transformers serve (seen)", "prose", _reply("The label is valid.", finish="stop"), "unparseable"),
    Shape("Text Generation Inference", "end `eos_token`", _reply(YES, finish="eos_token"), "valid"),
    Shape("Text Generation Inference", "end `stop_sequence`, a code fence without a name",
          _reply(f"```\n{NO}\n```", finish="stop_sequence"), "invalid"),
    Shape("Together", "end `eos`", _reply(YES, finish="eos"), "valid"),
    Shape("Mistral", "parts: thinking, then text", _reply([_THOUGHT, _TEXT]), "valid"),
    Shape("Mistral", "end `model_length`", _reply(YES, finish="model_length"), "unparseable"),
    Shape("Mistral", "a block in square brackets", _reply(f"[THINK]Hmm.[/THINK]{YES}"), "valid"),
    Shape("DeepSeek", "cached tokens as `prompt_cache_hit_tokens`",
          _reply(YES, usage=USAGE | {"prompt_cache_hit_tokens": 30, "prompt_cache_miss_tokens": 70}), "valid",
          tokens=(100, 5, 30)),
    Shape("DeepSeek", "JSON mode with only white space", _reply("   \n"), "unparseable"),
    Shape("Gemini, OpenAI protocol", "reasoning counted in the total only",
          _reply(YES, usage=USAGE | {"total_tokens": 400}), "valid", tokens=(100, 300, 0)),
    Shape("Gemini, OpenAI protocol", "end `SAFETY`", _reply(None, finish="SAFETY"), "refused"),
    Shape("Gemini, OpenAI protocol", "a code fence and capitals",
          _reply('```json\n{"verdict": "VALID"}\n```'), "valid"),
    Shape("xAI", "reasoning tokens beside the completion's",
          _reply(YES, usage={"prompt_tokens": 100, "completion_tokens": 5,
                             "completion_tokens_details": {"reasoning_tokens": 40}}), "valid", tokens=(100, 45, 0)),
    Shape("Claude, OpenAI protocol", "a sentence before the object", _reply(f"Sure: {YES}"), "unparseable"),
    Shape("Bedrock gateway", "end `end_turn`, one text part", _reply([_TEXT], finish="end_turn"), "valid"),
    Shape("Bedrock gateway", "end `guardrail_intervened`",
          _reply("Blocked.", finish="guardrail_intervened"), "refused"),
    Shape("Databricks", "parts: a summary of the reasoning, then text", _reply([_SUMMARY, _TEXT]), "valid"),
    Shape("Cohere, OpenAI protocol", "end `COMPLETE`", _reply(NO, finish="COMPLETE"), "invalid"),
    Shape("OpenRouter", "`native_finish_reason` more", _reply(YES, choice={"native_finish_reason": "STOP"}), "valid"),
    Shape("OpenRouter", "status 200 with an error", json.dumps({"error": {"code": 502, "message": "no"}}),
          "unparseable", tokens=None),
    Shape("OpenRouter", "end `error`", _reply(YES, finish="error"), "unparseable"),
    Shape("litellm", "a refusal as null, `provider_specific_fields` more",
          _reply(YES, message={"refusal": None, "provider_specific_fields": {}, "tool_calls": None}), "valid"),
    Shape("litellm", "no usage", _reply(YES, usage=None), "valid", tokens=None),
    Shape("Groq", "a verdict as a tool call", _reply(None, finish="tool_calls"), "unparseable"),
    Shape("a proxy", "a web page with status 200", "<html><body>valid</body></html>", "unparseable", tokens=None),
    Shape("a proxy", "events of a stream", f"data: {_reply(YES)}\n\ndata: [DONE]\n", "unparseable", tokens=None),
    Shape("any", "logprobs of the answer's tokens only",
          _with_chances(*_WORDS, _one_token("valid", 0.9), _one_token('"}', 1.0)), "valid", 0.9),
    Shape("any", "null for the logprob of a token that the schema excludes",
          _with_chances(*_WORDS, _one_token("valid", 0.7, valid=0.7, invalid=0.3, other=None), _token('"}')),
          "valid", 0.7),
    Shape("vLLM", "the logprob -9999 for a token that the schema excludes",
          _with_chances(*_WORDS, {"token": "valid", "logprob": -0.1, "top_logprobs": [
              {"token": "valid", "logprob": log(0.8)}, {"token": "uns", "logprob": log(0.2)},
              {"token": "x", "logprob": -9999.0}]}, _token('"}')), "valid", 9 / 11),
    Shape("any", "tokens as the vocabulary writes them",
          _reply(YES, choice={"logprobs": {"content": [
              _token('{"verdict":'), _token('\u0120"', **{'\u0120"': 1.0}), _token("valid", valid=0.75, invalid=0.25),
              _token('"}')]}}), "valid", 0.75),
    Shape("Gemini, OpenAI protocol", "end `content_filter: PROHIBITED_CONTENT`",
          _reply(None, finish="content_filter: PROHIBITED_CONTENT"), "refused"),
    Shape("a gateway", "end `MaxTokens`", _reply(YES, finish="MaxTokens"), "unparseable"),
    Shape("DeepSeek", "end `insufficient_system_resource`",
          _reply(YES, finish="insufficient_system_resource"), "unparseable"),
    Shape("OpenAI", "a part that is a refusal", _reply([{"type": "refusal", "refusal": "No."}]), "refused"),
    Shape("Claude, OpenAI protocol", "parts: redacted reasoning, then text",
          _reply([{"type": "redacted_thinking", "data": "x"}, _TEXT]), "valid"),
    Shape("Claude through litellm", "cached tokens as `cache_read_input_tokens`",
          _reply(YES, usage=USAGE | {"cache_read_input_tokens": 40}), "valid", tokens=(100, 5, 40)),
    Shape("Moonshot", "cached tokens as `cached_tokens`", _reply(YES, usage=USAGE | {"cached_tokens": 30}), "valid",
          tokens=(100, 5, 30)),
    Shape("a proxy", "cached tokens as text: they are left out, the others count",
          _reply(YES, usage=USAGE | {"prompt_tokens_details": {"cached_tokens": "64"}}), "valid"),
    Shape("a proxy", "a usage of zeros, which counts as none",
          _reply(YES, usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}), "valid", tokens=None),
    Shape("vLLM", "a block of reasoning with a name of its model",
          _reply(f"<seed:think>Hmm.</seed:think>{YES}"), "valid"),
    Shape("Moonshot", "a block of reasoning in triangles",
          _reply(f"\u25c1think\u25b7Hmm.\u25c1/think\u25b7{NO}"), "invalid"),
    Shape("Cohere, OpenAI protocol", "a block of reasoning between special tokens",
          _reply(f"<|START_THINKING|>Hmm.<|END_THINKING|>{YES}"), "valid"),
    Shape("vLLM", "logprobs of a draft in the reasoning only",
          _reply(f"<think>{YES}?</think>{NO}", choice={"logprobs": {"content": [
              *_WORDS, _token("valid", valid=0.9, invalid=0.1), _token('"}')]}}), "invalid"),
    Shape("vLLM", "logprobs of a draft in the reasoning, then of the answer",
          _with_chances(_token("<think>"), *_WORDS, _token("valid", valid=0.9, invalid=0.1), _token('"}'),
                        _token("</think>"), *_WORDS, _token("in", **{"in": 0.8, "valid": 0.2}), _token("valid"),
                        _token('"}')), "invalid", 0.2),
    Shape("any", "a block that is no reasoning", _reply(f"<answer>{NO}</answer>{YES}"), "unparseable"),
    Shape("any", "two objects", _reply(f"{YES}\n{NO}"), "unparseable"),
    Shape("any", "two answers that differ in case only", _reply('{"verdict": "valid", "Verdict": "invalid"}'),
          "unparseable"),
    Shape("any", "a part that is neither text nor reasoning", _reply([_TEXT, {"type": "image_url"}]), "unparseable"),
    Shape("any", "a fence inside a fence", _reply(f"```\n```json\n{YES}\n```\n```"), "unparseable"),
]  # fmt: skip
