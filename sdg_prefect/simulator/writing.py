"""Writing the parts of a reply, each from the row's own words."""

from __future__ import annotations

from collections.abc import Callable

from sdg_prefect.simulator.chance import draw, pick
from sdg_prefect.simulator.crafts import CRAFTS, Craft
from sdg_prefect.simulator.reading import Reading
from sdg_prefect.simulator.roles import Kind
from sdg_prefect.simulator.wording import content_words, ends_properly, key_words, sentences_of, subject_of

APPROVAL = 0.85
"""Share of judgements that are favourable."""

_DO = {"is": "What is", "are": "What are", "was": "What was", "were": "What were"}
_MODALS = frozenset({"can", "could", "may", "might", "must", "should", "will", "would"})
_PAST = frozenset({"had", "became"})
_PLAIN_QUESTIONS = (
    "What connects {a} and {b}?",
    "What should a reader know about {a} and {b}?",
    "In what way do {a} and {b} depend on each other?",
    "How would you explain {a} in terms of {b}?",
    "Which part of {a} has to do with {b}?",
)
_FREE_ANSWERS = (
    "The heart of the matter is {a}. Looking at {b} first makes the rest easier to follow, because {c} depends on it.",
    "Start with {a}, then turn to {b}. Both become clearer once {c} is taken into account.",
    "It helps to separate {a} from {b}. The first sets the frame, the second fills it, and {c} ties the two together.",
)
_CRITERIA = (
    "Cover {a} completely and in plain words.",
    "Say how {b} follows from {a}.",
    "Keep every statement about {c} true to the text.",
    "Leave out whatever does not concern {a}.",
    "End with one sentence that sums up {b}.",
)


class Writer:
    """Writes one reply to one prompt; equal arguments write equal words."""

    def __init__(self, reading: Reading, key: str) -> None:
        self.reading = reading
        """What the reply is to."""
        self._key = key
        self._start = int(draw(key, "start") * len(reading.sentences))
        self.approves = draw(key, "approves") < APPROVAL
        """Whether this reply judges favourably, in all its parts."""

    def write(self, kind: Kind, turn: int = 0, paired: bool = False) -> str:
        """Write a text of some kind.

        Args:
            kind: What to write.
            turn: Which of several in the same reply.
            paired: Whether an answer belongs to the question of the same turn.
        """
        if kind is Kind.ANSWER and paired:
            return self._paired_answer(turn)
        if kind in CRAFTS:
            return Craft(self.reading, self._key, self.approves, turn).write(kind)
        return _WRITERS[kind](self, turn)

    def turns(self) -> int:
        """Return how many questions or pairs to write."""
        return self.reading.count or 2 + int(draw(self._key, "turns") * 2)

    def _sentence(self, turn: int) -> str:
        sentences = self.reading.sentences
        return ends_properly(sentences[(self._start + turn) % len(sentences)])

    def _words(self, turn: int = 0) -> tuple[str, str, str]:
        """Return three telling words of the row."""
        words = self.reading.key_words
        start = int(draw(self._key, "words") * len(words)) + turn
        return tuple(words[(start + step) % len(words)] for step in range(3))  # type: ignore[return-value]

    def question(self, turn: int) -> str:
        """Write a question about one sentence of the row."""
        question = self._plain_question(turn)
        if not self.reading.is_multiple_choice:
            return question
        lines = [f"{letter}) {text}" for letter, text in zip("ABCD", self._choices(turn), strict=False)]
        return "\n".join((question, "", *lines))

    def _plain_question(self, turn: int) -> str:
        sentence = self._sentence(turn)
        if parts := subject_of(sentence, self.reading.names):
            subject, verb, rest = parts
            if verb in _DO:
                return f"{_DO[verb]} {subject}?"
            if verb in _MODALS:
                return f"What {verb} {subject} {'be' if rest.startswith('be ') else 'do'}?"
            return f"What {'was' if verb in _PAST else 'is'} worth knowing about {subject}?"
        words = list(key_words(sentence, 2)) or list(self._words(turn)[:2])
        first, second = words[0], words[-1] if len(words) > 1 else self._words(turn)[1]
        if first.lower() == second.lower():
            return f"What should a reader know about {first}?"
        template = _PLAIN_QUESTIONS[(self._start + turn) % len(_PLAIN_QUESTIONS)]
        return template.format(a=first, b=second)

    def _choices(self, turn: int) -> list[str]:
        """Return the four options of a multiple-choice question; the right one's place changes."""
        pool = [word for word in self.reading.key_words if word] + [
            "None of these",
            "All of these",
            "Nothing",
            "Both",
        ]
        right = (key_words(self._sentence(turn), 1) or pool[:1])[0]
        wrong = [word for word in dict.fromkeys(pool) if word.lower() != right.lower()][:3]
        place = self._right_place(turn)
        return [*wrong[:place], right, *wrong[place:]]

    def _right_place(self, turn: int) -> int:
        return int(draw(self._key, "right", turn) * 4)

    def _paired_answer(self, turn: int) -> str:
        """Write the answer to the question of the same turn."""
        if self.reading.is_multiple_choice:
            place = self._right_place(turn)
            return f"{'ABCD'[place]}) {self._choices(turn)[place]}"
        if not self.reading.material:
            return self._free_answer(turn)
        return self._sentence(turn)

    def answer(self, turn: int) -> str:
        """Write an answer to the row's question: the sentences nearest to it."""
        reading = self.reading
        if not reading.material or not reading.question:
            return self._free_answer(turn) if not reading.material else self.passage(turn)
        wanted = content_words(reading.question)
        ranked = sorted(range(len(reading.sentences)), key=lambda place: -len(wanted & reading.sentence_words[place]))
        chosen = sorted(ranked[: 1 + int(draw(self._key, "length") * 2)])
        return " ".join(ends_properly(reading.sentences[place]) for place in chosen)

    def _free_answer(self, turn: int) -> str:
        a, b, c = self._words(turn)
        return pick(_FREE_ANSWERS, self._key, "free", turn).format(a=a, b=b, c=c)

    def passage(self, turn: int) -> str:
        """Write a short passage from neighbouring sentences."""
        length = min(len(self.reading.sentences), 3)
        return " ".join(dict.fromkeys(self._sentence(turn + step) for step in range(length)))

    def summary(self, turn: int) -> str:
        """Write a summary: the first sentence and about a third of the others."""
        sentences = self.reading.sentences
        share = 0.2 + 0.25 * draw(self._key, "share", turn)
        kept = [sentence for place, sentence in enumerate(sentences[1:]) if draw(self._key, "keep", place) < share]
        return " ".join(ends_properly(sentence) for sentence in (sentences[0], *kept))

    def facts(self, turn: int) -> str:
        """Write a numbered list of the row's sentences."""
        return "\n".join(f"{number}. {fact}" for number, fact in enumerate(self.fact_list(), 1))

    def fact_list(self) -> list[str]:
        """Return the row's sentences as facts, at most ten."""
        wanted = self.reading.count or 10
        return [ends_properly(sentence) for sentence in self.reading.sentences[:wanted]]

    def explanation(self, turn: int) -> str:
        """Write the reasons for this reply's judgement."""
        subject = self.reading.response or self.reading.question or self.reading.material
        quoted = (sentences_of(subject, 1) or self.reading.sentences)[0].strip("\"'")[:200]
        a, b, _ = self._words(turn)
        if self.approves:
            return f'The text speaks of {a} and {b}, and "{quoted}" is in line with it.'
        return f'The text speaks of {a}, but "{quoted}" leaves open how {b} comes into it.'

    def thinking(self, turn: int) -> str:
        """Write a train of thought."""
        a, b, c = self._words(turn)
        return f"The main points are {a} and {b}. First settle what {a} means, then check it against {c}."

    def criteria(self, turn: int) -> str:
        """Write a numbered list of things to see to."""
        a, b, c = self._words(turn)
        length = 3 + int(draw(self._key, "criteria") * 3)
        return "\n".join(f"{n}. {text.format(a=a, b=b, c=c)}" for n, text in enumerate(_CRITERIA[:length], 1))

    def revision(self, turn: int) -> str:
        """Write the row's response again, with one more sentence."""
        reading = self.reading
        base = reading.response or reading.question or reading.material or reading.task
        a, b, _ = self._words(turn)
        if base.rstrip().endswith("?"):
            return f"{base.rstrip()[:-1]}, and what does it mean for {a}?"
        return f"{ends_properly(base.strip())} In particular, {a} has to be seen together with {b}."

    def verdict(self, turn: int) -> str:
        """Write yes or no in the prompt's own words."""
        yes, no = self.reading.verdicts or ("YES", "NO")
        return yes if self.approves else no

    def score(self, turn: int) -> str:
        """Write a number on the prompt's scale."""
        return str(self.score_number())

    def score_number(self) -> int:
        """Return a number on the prompt's scale: high when favourable."""
        low, high = self.reading.scale or (1, 5)
        if self.approves:
            return high - int(high - low >= 4 and draw(self._key, "score") < 0.4)
        return low + int(draw(self._key, "score") * ((high - low + 1) // 2))

    def label(self, turn: int) -> str:
        """Write one of the prompt's options."""
        options = self.reading.options or self.reading.verdicts
        return self.choose(options) if options else self.topic(turn)

    def choose(self, options: tuple[str, ...]) -> str:
        """Return the option that shares most words with the row; one by chance if none does."""
        row = content_words(f"{self.reading.question} {self.reading.material}")
        best = max(options, key=lambda option: len(content_words(option) & row), default="")
        if content_words(best) & row:
            return best
        return pick(options, self._key, "option") if options else ""

    def draw(self, options: tuple[str, ...]) -> str:
        """Return one of some options by chance."""
        return pick(options, self._key, "option")

    def topic(self, turn: int) -> str:
        """Write a title of two words."""
        a, b, _ = self._words(turn)
        return a.capitalize() if a.lower() == b.lower() else f"{a.capitalize()} and {b}"

    def keyword_list(self) -> list[str]:
        """Return the row's telling words, at most five."""
        return list(self.reading.key_words[:5])

    def keywords(self, turn: int) -> str:
        """Write the row's telling words."""
        return ", ".join(self.keyword_list())

    def questions(self, turn: int) -> str:
        """Write a numbered list of questions, or one question."""
        questions = [self.question(number) for number in range(self.turns())]
        return questions[0] if len(questions) == 1 else "\n".join(f"{n}. {text}" for n, text in enumerate(questions, 1))

    def pairs(self, turn: int) -> str:
        """Write questions, each followed by its answer."""
        numbers = range(self.turns())
        return "\n\n".join(f"Question: {self.question(n)}\nAnswer: {self._paired_answer(n)}" for n in numbers)


_WRITERS: dict[Kind, Callable[[Writer, int], str]] = {
    Kind.QUESTION: Writer.question,
    Kind.ANSWER: Writer.answer,
    Kind.SUMMARY: Writer.summary,
    Kind.FACTS: Writer.facts,
    Kind.PASSAGE: Writer.passage,
    Kind.EXPLANATION: Writer.explanation,
    Kind.THINKING: Writer.thinking,
    Kind.CRITERIA: Writer.criteria,
    Kind.REVISION: Writer.revision,
    Kind.VERDICT: Writer.verdict,
    Kind.SCORE: Writer.score,
    Kind.LABEL: Writer.label,
    Kind.TOPIC: Writer.topic,
    Kind.KEYWORDS: Writer.keywords,
    Kind.PAIRS: Writer.pairs,
    Kind.QUESTIONS: Writer.questions,
}
