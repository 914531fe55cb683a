"""The tab Simulate: a form for the common study, its progress, its results, its scenario file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from fludapk.answers.typed import Folders
from fludapk.errors import Fault, FileError, FludapkError, InputError, gathered
from fludapk.language import marked, ntr, tr
from fludapk.patience import AbandonedError, go_on
from fludapk.patients.population import populations
from fludapk.patients.request import read_step_mg
from fludapk.published.models import DEFAULT_MODEL
from fludapk.studies.common_study import PATIENTS, SEED, common_study, toml_of
from fludapk.studies.simulate import read_scenario
from fludapk.web.beside_form import Answer, refusal, rendered
from fludapk.web.forms import plans_of
from fludapk.web.guard import address_of
from fludapk.web.jobs import LEFT_S, BusyError, Job, Jobs
from fludapk.web.languages import at
from fludapk.web.pages import Pages
from fludapk.web.posted import as_images, downloads, number_in, texts_of

PATH: Final = "/simulate"
MOST_PATIENTS: Final = 100_000
"""Simulated patients of a study at most; the command line takes more."""
_FORM: Final = "simulate.form.html"
_FOLLOWED_S: Final = 1.0
"""Seconds that an answer about a running study takes: so a page that is not seen goes on asking."""
_WORDS: Final = {
    "cancelled": marked("The study was cancelled."),
    "failed": marked("The study ended without a result: out of memory? Ask for fewer patients."),
}
_GONE: Final = marked(
    "This study is no longer kept: results stay until newer studies are finished or the server "
    "stops. Run it again, or use its scenario file."
)


@dataclass(frozen=True)
class SimulatePage:
    """Routes of the tab.

    Parameters
    ----------
    pages : Pages
    jobs : Jobs
        Studies of this server.
    """

    pages: Pages
    jobs: Jobs

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(include_in_schema=False)
        routes.get(PATH)(lambda: self.page())
        routes.post(PATH)(self.start)
        routes.get(f"{PATH}/{{name}}")(self.follow)
        routes.post(f"{PATH}/{{name}}/cancel")(self.cancel)
        return routes

    def page(
        self,
        form: Mapping[str, str] | None = None,
        answer: Answer | None = None,
        job: Job | None = None,
    ) -> Response:
        """Return the whole page."""
        offered = [(name, ages_first(tr(entry.title))) for name, entry in populations().items()]
        return self.pages.page(_FORM, PATH, form, answer, job=job, populations=offered)

    async def start(self, request: Request) -> Response:
        """Queue the study that a form asks for, and lead to its page."""
        texts = texts_of(await request.form(max_files=0, max_fields=100))
        kept = {name: text for name, text in texts.items() if name != "token"}
        if not await self.pages.admits(texts.get("token", ""), address_of(request.scope)):
            return self.page(kept, refusal(InputError(tr("token is wrong or missing")), kept))
        folders = self.pages.folders
        try:
            scenario = await run_in_threadpool(scenario_asked, kept, folders)
            job = Job(scenario, kept, folders)
            self.jobs.start(job)
        except FludapkError as error:
            return self.page(texts, refusal(error, texts))
        except BusyError:
            why = tr(
                "a study runs and {n} others wait: start yours in a minute", n=self.jobs.waiting
            )
            response = self.page(texts, refusal(InputError(why), texts))
            response.status_code = 429
            return response
        return RedirectResponse(f"{at()}{PATH}/{job.id}#answer", 303)

    async def follow(self, request: Request, name: str) -> Response:
        """Return the page of a study; for the script its status alone, after a moment."""
        job = self.jobs.find(name)
        if job is None:
            response = self.page({}, Answer(rendered("study_over.html", text=tr(_GONE)), tr(_GONE)))
            response.status_code = 404
            return response
        job.keep()
        if request.headers.get("x-part") != "answer":
            answer = await run_in_threadpool(status_of, job, self.jobs)
            return self.page(job.form, answer, job)
        if not job.is_over:
            await asyncio.sleep(_FOLLOWED_S)
        try:
            go_on()
        except AbandonedError:
            job.keep(LEFT_S)
            raise
        answer = await run_in_threadpool(status_of, job, self.jobs)
        return HTMLResponse(rendered("answer.html", answer=answer))

    def cancel(self, name: str) -> Response:
        """End a study, and lead back to its page."""
        job = self.jobs.find(name)
        if job is not None:
            job.cancel()
        return RedirectResponse(f"{at()}{PATH}/{name}", 303)


def ages_first(title: str) -> str:
    """Put the ages of a population before its name: a narrow list cuts the end.

    Examples
    --------
    >>> ages_first("adults of Langenhorst 2019 (22-74 y)")
    '22-74 y: adults of Langenhorst 2019'
    """
    name, _, ages = title.removesuffix(")").rpartition(" (")
    return f"{ages}: {name}" if name else title


def scenario_asked(form: Mapping[str, str], folders: Folders = None) -> dict[str, Any]:
    """Read the study that a form asks for, as a scenario.

    Raises
    ------
    InputError
        With all faults.
    """
    population, plans = form.get("population", ""), list(plans_of(form).values())
    low, high, patients, seed, step, _ = gathered(
        lambda: number_in(form, "window_low", "window"),
        lambda: number_in(form, "window_high", "window"),
        lambda: _whole(form, "patients", PATIENTS),
        lambda: _whole(form, "seed", SEED),
        lambda: read_step_mg(form),
        lambda: common_study(population, plans),  # so that every fault is named at once
    )
    if (low is None) != (high is None):
        raise InputError(Fault("window", tr("needs both: its lower and its upper AUC")))
    if patients > MOST_PATIENTS:
        do = tr("at most {most} here; fludapk simulate takes more", most=MOST_PATIENTS)
        raise InputError(Fault("patients", f"= {patients}", do=do))
    scenario = common_study(
        population,
        plans,
        window=None if low is None else (low, high),
        patients=patients,
        seed=seed,
        model=form.get("model") or DEFAULT_MODEL,
        round_to_mg=step,
        **{name: form.get(name) for name in ("product", "diagnosis", "genotype")},
    )
    try:
        read_scenario(scenario, folders)
    except FileError as error:  # nobody wrote a file
        raise InputError(*error.faults) from None
    return scenario


def _whole(form: Mapping[str, str], name: str, default: int) -> int:
    """Read a whole number of a form."""
    number = number_in(form, name)
    if number is None:
        return default
    if number != int(number):
        raise InputError(Fault(name, tr("= {number:g} is not a whole number", number=number)))
    return int(number)


def status_of(job: Job, jobs: Jobs) -> Answer:
    """Tell how a study stands."""
    scenario = {"scenario.toml": toml_of(job.scenario, "fludapk simulate scenario.toml -o results")}
    if job.state == "done":
        files = {**scenario, **job.files}
        names = [Path(name).stem.replace("_", " ") for name in files if name.endswith(".svg")]
        html = as_images(job.html, names) + downloads(files, whole="study.zip")
        return Answer(html, tr("The study is finished: {title}.", title=job.scenario["title"]))
    if job.state == "refused":
        return refusal(InputError(*job.faults), job.form)
    if job.is_over:
        text = tr(_WORDS[job.state])
        return Answer(rendered("study_over.html", text=text) + downloads(scenario), text)
    ahead = jobs.ahead(job)
    percent = 100 * job.done // max(job.total, 1)
    text = tr("{work}, {percent} %", work=job.doing, percent=percent)
    if ahead or job.state == "waiting":
        text = ntr("waiting: {n} study first", "waiting: {n} studies first", ahead)
    part = rendered("study_running.html", job=job, path=f"{at()}{PATH}/{job.id}", text=text)
    return Answer(part + downloads(scenario), tr("The study runs: {text}", text=text))
