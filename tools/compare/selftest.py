"""Tests of what a comparison concludes: shapes, statistics, charts, tables, the search."""

import os
import tempfile
import unittest
import xml.etree.ElementTree as xml

import chart
import cpuclock
import figures
import maximum
import options
import report
from place import Usage, cores
from shape import Shape, parse_all


def run_of(peer, number, cpu, rejected=(), shape="100x10"):
    """A run as rounds.py makes them."""
    return {
        "peer": peer, "shape": shape, "round": number, "cpu_ns": cpu, "rejected": list(rejected),
        "protocol": "broadtape",
        "p50": 1000, "p99": 2000, "p99.9": 3000, "delivered": 1.0, "lost": 0, "load": 0.5,
    }


class Shapes(unittest.TestCase):
    """Shapes of the work."""

    def test_a_shape_says_what_should_arrive(self):
        plain, own = parse_all("100x10, 1000x1:20/500")
        self.assertEqual((plain.sends_per_tick, plain.delivered_per_s), (100, 1_000_000))
        self.assertEqual((own.sends_per_tick, own.delivered_per_s), (40, 40_000))
        self.assertEqual([str(plain), str(own)], ["100x10", "1000x1:20/500"])

    def test_what_is_no_shape_is_refused(self):
        for text in ("", "100", "0x1", "100x0", "100x1:0/5", "100x1:6/5", "100x2:5/10", "7x1:1/2"):
            with self.assertRaises(ValueError, msg=text):
                Shape.parse(text)


class Figures(unittest.TestCase):
    """Medians, ratios, orders."""

    def test_a_spread_is_of_what_is_there(self):
        self.assertEqual(figures.spread([3, None, 1, 2]), figures.Spread(2, 1, 3, 3))
        self.assertIsNone(figures.spread([None]))

    def test_ratios_pair_within_a_round(self):
        # The machine was twice as slow in round 1: the ratio is the same.
        runs = [run_of("a", 0, 30), run_of("f", 0, 10), run_of("f", 1, 20), run_of("a", 1, 60)]
        self.assertEqual(figures.ratios(runs, "a", "f", "100x10", "cpu_ns"),
                         figures.Spread(3, 3, 3, 2))

    def test_a_rejected_run_counts_nowhere(self):
        runs = [run_of("a", 0, 30, ["busy"]), run_of("f", 0, 10), run_of("a", 1, 50)]
        self.assertIsNone(figures.ratios(runs, "a", "f", "100x10", "cpu_ns"))
        self.assertEqual(figures.of_peer(runs, "a", "100x10", "cpu_ns").median, 50)

    def test_another_is_first_each_round(self):
        self.assertEqual(figures.rotated([1, 2, 3], 4), [2, 3, 1])
        self.assertEqual(figures.rotated([], 4), [])

    def test_a_clock_is_read_between_its_samples(self):
        samples = [(0, 100), (10, 200), (20, 200)]
        self.assertEqual((cpuclock.at(samples, 5), cpuclock.at(samples, 15)), (150, 200))
        self.assertIsNone(cpuclock.at(samples, 21))

    def test_our_own_cpu_clock_runs(self):
        with cpuclock.CpuClock(os.getpid()) as clock:
            pass
        self.assertTrue(clock._samples and clock._samples[0][1] > 0)


class Search(unittest.TestCase):
    """The highest rate."""

    def test_it_is_doubled_then_bisected(self):
        found = maximum.search(lambda per_tick: per_tick <= 777)
        self.assertTrue(730 < found <= 777, found)
        self.assertEqual(maximum.search(lambda per_tick: False), 0)
        self.assertGreater(maximum.search(lambda per_tick: True), 9_000)


class Pages(unittest.TestCase):
    """Tables and charts."""

    def test_a_chart_is_well_formed_and_holds_its_lines(self):
        lines = {"<a>": [(1, 4000), (300, 20)], "b": [(1, 5000)], "none": []}
        tree = xml.fromstring(chart.draw("t & t", "x", "y", lines))
        tags = [element.tag.rpartition("}")[2] for element in tree.iter()]
        self.assertEqual((tags.count("polyline"), tags.count("circle")), (2, 3))
        xml.fromstring(chart.draw("nothing", "x", "y", {}))

    def test_labels_do_not_cover_each_other(self):
        placed = sorted(chart.spaced([50.0, 50.0, 51.0]))
        self.assertTrue(all(b - a >= 15 for a, b in zip(placed, placed[1:])), placed)
        # At the lower edge they move up, and those far above stay.
        self.assertEqual(chart.spaced([100.0, 404.0, 404.0]), [100.0, 389.0, 404.0])

    def test_a_table_has_a_row_for_each_that_ran(self):
        runs = [run_of("floor-send", 0, 10), run_of("a", 0, 15), run_of("b", 0, 1, ["it failed"])]
        text = report.table(runs, Shape(100, 10), ["floor-send", "a", "b", "c"])
        self.assertIn("| a | 15 (15…15) | 1.50 (1.50…1.50) | – "
                      "| 1.50 (1.50…1.50) | 1 | 2 | 3 |", text)
        self.assertIn("| b | – | – | – | – | – | – | – | – | – | 0 of 1 |", text)
        self.assertNotIn("| c |", text)

    def test_a_page_keeps_what_stands_around_the_marks(self):
        with tempfile.TemporaryDirectory() as folder:
            page = os.path.join(folder, "page.md")
            with open(page, "w", encoding="utf-8") as file:
                file.write(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
            report.put(page, "new")
            with open(page, encoding="utf-8") as file:
                text = file.read()
            self.assertEqual(text, f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n")
            with open(page, "w", encoding="utf-8") as file:
                file.write("no marks")
            with self.assertRaises(report.Unmarked):
                report.put(page, "new")


class Arguments(unittest.TestCase):
    """What is asked for."""

    def read(self, *words):
        """Parses and checks."""
        return options.checked(options.parser().parse_args(words))

    def test_own_servers_join_the_peers(self):
        found = self.read("--peers", "broadtape-epoll", "--cmd", "u=./server --port {PORT}")
        self.assertEqual(found.peers, ["broadtape-epoll", "u"])
        self.assertEqual((found.rounds, found.duration, len(found.shapes)), (5, 3.0, 5))

    def test_times_have_units(self):
        self.assertEqual([options.seconds(t) for t in ("3s", "500ms", "2")], [3.0, 0.5, 2.0])

    def test_nonsense_is_refused(self):
        for words in (["--cmd", "x"], ["--dev"], ["--cmd-flags", "x=y"], ["--shapes", "much"]):
            with self.assertRaises(Usage, msg=words):
                self.read(*words)
        with self.assertRaises(Usage):
            cores([0, 1], 2, None)
        self.assertEqual((cores([3], None, None), cores([1, 3], 3, None)), ((3, 3), (3, 1)))


def run():
    """Runs all tests; the exit code."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(__import__(__name__))
    return 0 if unittest.TextTestRunner().run(suite).wasSuccessful() else 1
