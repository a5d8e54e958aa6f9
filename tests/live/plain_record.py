"""The model of minutes, lines and extremes, as plain as possible; tests compare what is published and recorded with it."""

import datetime as dt

from condord.core.market_hours import exchange_day


def e4(dollars):
    return None if dollars is None else round(dollars * 10_000)


def to_cents(dollars):
    return None if dollars is None else round(e4(dollars) / 100)


def points(history):
    return [*zip(history["seconds"], history["cents"], strict=True)]


def day_of(second):
    return exchange_day(dt.datetime.fromtimestamp(second, dt.UTC))


def is_held_back(condor, quotes):
    """Whether a known profit or loss is held back as unreliable; no test of the stream begins at the open."""
    states = {quotes[leg["symbol"]]["state"] for leg in condor["legs"]}
    shown, width = condor["valuation"], max(condor["putWidth"], condor["callWidth"])
    return bool(states & {"crossed", "stub"}) or abs(e4(shown["natural"]) - e4(shown["mark"])) > e4(width) // 5


class Kept:
    """A holding, or the account: the shown value, the known ones of the running minute, and the counted ones before."""

    def __init__(self):
        self.opened = None
        self.terms = None
        self.shown = None
        self.known = []
        self.last = self.last_natural = None
        self.counted = []

    def note(self):
        if self.shown is not None:
            cents, natural, held = self.shown
            self.known.append((cents, held))
            self.last = cents
            self.last_natural = self.last_natural if natural is None else natural

    def counts(self):
        return [] if any(held for _, held in self.known) else [cents for cents, _ in self.known]

    @property
    def extremes(self):
        every = self.counted + self.counts()
        return (min(every), max(every)) if every else (None, None)

    @property
    def row(self):
        known = [cents for cents, _ in self.known]
        is_any_held = any(held for _, held in self.known)
        return self.last, self.last_natural, min(known, default=None), max(known, default=None), is_any_held

    def end_minute(self):
        self.counted += self.counts()
        self.known, self.last, self.last_natural = [], None, None


class PlainRecord:
    """Records every published document; call `end_minute` at each minute's end, `recall` to restore a record."""

    def __init__(self):
        self.is_running = self.is_open = self.is_live = False
        self.forget()

    def forget(self):
        self.day = None
        self.held, self.account, self.lines, self.gone = {}, Kept(), {}, []
        self.waiting = None

    def see(self, document, now_at):
        status = document["status"]
        self.is_open, self.is_live = status["market"]["isOpen"] is True, status["state"] == "live"
        if self.is_open and not self.is_running:
            self.begin_minute(now_at)
        self.hold(document)
        quotes = {quote["symbol"]: quote for quote in document["quotes"]}
        for condor in document["condors"]:
            value, kept = condor["valuation"], self.held[condor["id"]]
            if value["unrealizedPl"] is None or value["unconfirmed"]:
                kept.shown = None
            else:
                pl, natural = to_cents(value["unrealizedPl"]), to_cents(value["naturalPl"])
                kept.shown = pl, natural, is_held_back(condor, quotes)
        shown = [self.held[condor["id"]].shown for condor in document["condors"]]
        totals = document["totals"]
        whole = to_cents(totals["unrealizedPl"]), to_cents(totals["naturalPl"]), False
        self.account.shown = None if None in shown else whole
        self.note()

    def hold(self, document):
        before, self.held = self.held, {}
        for condor in document["condors"]:
            opened, terms = condor["openedAt"], (condor["quantity"], condor["credit"])
            kept = before.get(condor["id"])
            if kept is None or (opened and kept.opened and opened > kept.opened):
                kept = Kept()
            if kept.terms != terms:
                self.lines[condor["id"]], kept.last, kept.last_natural = [], None, None
            kept.opened, kept.terms = opened or kept.opened, terms
            self.held[condor["id"]] = kept
        self.shown = [*self.held]
        broken = {each["id"] for each in document["broken"]}
        self.held |= {each: before[each] for each in broken & before.keys() - self.held.keys()}
        self.gone += [kept for each, kept in before.items() if self.held.get(each) is not kept]
        self.lines = {each: line for each, line in self.lines.items() if each in self.held}
        self.continue_line()

    def note(self):
        if self.is_open and self.is_live:
            for kept in [*(self.held[each] for each in self.shown), self.account]:
                kept.note()

    def begin_minute(self, now_at):
        self.is_running, self.ends_at = self.is_open, int(now_at.timestamp()) // 60 * 60 + 60

    def end_minute(self, rows, now_at):
        """Check the rows of a minute that has ended, and begin the next."""
        second = min(self.ends_at, int(now_at.timestamp()) // 60 * 60)
        assert self.is_running
        assert {row.second for row in rows} == {second}
        broken = [kept for each, kept in self.held.items() if each not in self.shown]
        expected = [kept.row for kept in (*self.gone, *broken) if kept.known]
        expected += [self.held[each].row for each in self.shown]
        found = [(row.cents, row.natural_cents, row.low, row.high, row.is_held_back) for row in rows]
        *condors, account = found
        assert sorted(condors, key=repr) == sorted(expected, key=repr)
        assert account == (*self.account.row[:4], any(held for *_, held in condors))
        self.grow(second)
        for kept in (*self.held.values(), self.account):
            kept.end_minute()
        self.gone = []
        self.begin_minute(now_at)
        self.note()

    def grow(self, second):
        known = {each: self.held[each].last for each in self.shown if self.held[each].last is not None}
        known = {each: cents for each, cents in known.items() if [at for at, _ in self.lines[each]][-1:] != [second]}
        if known:
            self.day = day_of(second)
            for each, line in self.lines.items():
                is_of_day = line and day_of(line[-1][0]) == day_of(second)
                self.lines[each] = line if is_of_day else []
        for each, cents in known.items():
            self.lines[each] = [point for point in self.lines[each] if point[0] < second] + [(second, cents)]

    def recall(self, identity, extremes, terms, line):
        """Continue one condor as it was recorded, whenever it was opened."""
        self.held[identity].counted += extremes
        self.waiting = identity, terms, line
        self.continue_line()

    def continue_line(self):
        """Put the recorded line before the points there are, once the condor has its terms."""
        if self.waiting is not None:
            identity, terms, line = self.waiting
            if identity not in self.held or not line or self.day not in (None, day_of(line[-1][0])):
                self.waiting = None  # a line has points of one day
            elif self.held[identity].terms == terms:
                first = min((at for at, _ in self.lines[identity]), default=None)
                self.day = day_of(line[-1][0])
                self.lines[identity] = [each for each in line if first is None or each[0] < first] + self.lines[
                    identity
                ]
                self.waiting = None

    def check(self, document):
        """Check that a document shows the kept values."""
        for condor in document["condors"]:
            value, (worst, best) = condor["valuation"], self.held[condor["id"]].extremes
            assert (to_cents(value["worstPl"]), to_cents(value["bestPl"])) == (worst, best)
            assert points(condor["history"]) == self.lines[condor["id"]]
