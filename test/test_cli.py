"""The ffs command: verbs are found by name, errors become one line and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest
from interrupted_start import interrupted_start

import ffs_ros
from ffs_ros import cli
from ffs_ros.errors import CheckpointError


@pytest.fixture
def greet(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A verb that says hello, in place of the real ones; a test may replace its main."""
    module = ModuleType("greet_verb")
    module.HELP = "Say hello."
    module.add_arguments = lambda parser: parser.add_argument("name")
    module.main = lambda args: print(f"hello {args.name}")
    monkeypatch.setitem(sys.modules, "greet_verb", module)
    monkeypatch.setattr(cli, "VERBS", {"greet": cli.Verb("greet_verb", "say hello"), "broken": cli.Verb("none", "no")})
    return module


def exit_code(*argv: str) -> int:
    """The code that ``ffs argv...`` exits with."""
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    return int(ended.value.code or 0)


def test_a_verb_runs_with_its_own_arguments(greet, capsys):
    """``ffs greet you`` hands "you" to the verb and exits 0."""
    assert exit_code("greet", "you") == 0
    assert capsys.readouterr().out == "hello you\n"


def test_only_the_chosen_verb_is_imported(greet):
    """A verb whose module cannot be imported does no harm until it is chosen."""
    assert exit_code("greet", "you") == 0
    with pytest.raises(ModuleNotFoundError):
        cli.main(["broken"])


def test_an_error_of_the_user_is_one_line_and_exit_code_2(greet, capsys):
    """An FfsError appears on stderr as one line without a traceback, even when its sentence has line breaks."""

    def refuse(args):
        raise CheckpointError("x.pth is half a download.\nDownload it again.")

    greet.main = refuse
    assert exit_code("greet", "you") == 2
    captured = capsys.readouterr()
    assert captured.err == "ffs: x.pth is half a download. Download it again.\n"
    assert captured.out == ""


def test_a_bug_keeps_its_traceback(greet):
    """Anything that is no FfsError passes through unchanged."""

    def fail(args):
        raise ZeroDivisionError("a bug")

    greet.main = fail
    with pytest.raises(ZeroDivisionError, match="a bug"):
        cli.main(["greet", "you"])


def test_an_interrupt_exits_with_130(greet):
    """Ctrl-C ends a verb with the shell's code for it and no traceback."""

    def interrupt(args):
        raise KeyboardInterrupt

    greet.main = interrupt
    assert exit_code("greet", "you") == 130


@pytest.mark.parametrize("module", ["ffs_ros.cli", "argparse", "ffs_ros.tools.infer", "cv2"])
def test_an_interrupt_while_it_still_imports_exits_with_130(module):
    """Ctrl-C right after Enter is as quiet as later."""
    assert interrupted_start("ffs_ros", "infer", "left.png", "right.png", at=module) == (130, "")


def test_a_closed_pipe_is_no_traceback():
    """``ffs ... | head -1`` ends quietly when head has read enough."""
    program = (
        "import sys, types; from ffs_ros import cli; verb = types.ModuleType('verb'); verb.HELP = '';"
        "verb.add_arguments = lambda parser: None; verb.main = lambda args: print('line\\n' * 100_000);"
        "sys.modules['verb'] = verb; cli.VERBS = {'verb': cli.Verb('verb', '')}; cli.main(['verb'])"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize("argv", [["--version"], ["--help"]])
def test_version_and_help_exit_with_0(argv, capsys):
    """The two questions that need no verb are answered on stdout."""
    assert exit_code(*argv) == 0
    out = capsys.readouterr().out
    assert ffs_ros.__version__ in out or all(name in out for name in cli.VERBS)


@pytest.mark.parametrize("argv", [[], ["infre"]])
def test_an_unknown_or_missing_verb_is_exit_code_2(argv, capsys):
    """A wrong verb is refused with the list of right ones; none at all gives the help, with that list."""
    assert exit_code(*argv) == 2
    err = capsys.readouterr().err
    assert "usage: ffs" in err
    assert all(name in err for name in cli.VERBS)
    assert argv or "examples:" in err


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_explains_itself_with_an_example(verb, capsys):
    """``ffs VERB --help`` exits 0 and shows the command with that verb, at least once beyond the usage line."""
    assert exit_code(verb, "--help") == 0
    assert capsys.readouterr().out.count(f"ffs {verb}") >= 2
