"""Files of records and levels as people export them, and the verdict on each.

A verdict is the numbers that are read, or words of the refusal. The files are made here.
"""

from typing import Final, NamedTuple

GIRL: Final = "6,20,118,110"
"""AGE, WT, HT, EGFR."""


class Hostile(NamedTuple):
    """A file, and what is to be made of it."""

    kind: str
    text: str
    verdict: str
    """``= numbers`` that are read, or a part of the refusal."""


# --- levels of one patient: "hours conc", with < before a limit, in mg/L -------------------------

MEASURED: Final = "= 2 0.52; 24 <0.01"
LEVELS: Final = (
    Hostile(
        "pandas writes 1.0",
        "time_h,conc_mg_l,blq,lloq\n2,0.52,0.0,0.01\n24,0.01,1.0,0.01\n",
        MEASURED,
    ),
    Hostile(
        "R writes TRUE and NA",
        "time_h,conc_mg_l,blq,lloq\n2,0.52,FALSE,0.01\n24,NA,TRUE,0.01\n",
        MEASURED,
    ),
    Hostile("T and F", "time_h,conc_mg_l,BQL,LLOQ\n2,0.52,F,0.01\n24,.,T,0.01\n", MEASURED),
    Hostile("an x marks", "time_h,conc_mg_l,blq,lloq\n2,0.52,,0.01\n24,,x,0.01\n", MEASURED),
    Hostile("cens with the limit in dv", "time_h,dv_mg_l,cens\n2,0.52,0\n24,0.01,1\n", MEASURED),
    Hostile("the limit in the cell", "time_h,conc_mg_l\n2,0.52\n24,<0.01\n", MEASURED),
    Hostile(
        "the name of the limit in the cell",
        "time_h,conc_ng_ml,lloq\n2,520,10\n24,<LLOQ,10\n",
        MEASURED,
    ),
    Hostile("BLQ in the cell", "time_h,conc_ng_ml,lloq_mg_l\n2,520,0.01\n24,BLQ,0.01\n", MEASURED),
    Hostile(
        "semicolons and commas",
        "time_h;conc_mg_l;blq;lloq\n2;0,52;0;0,01\n24;0,01;1;0,01\n",
        MEASURED,
    ),
    Hostile("tabs", "time_h\tconc_mg_l\n2\t0.52\n24\t<0.01\n", MEASURED),
    Hostile("blank rows", "time_h,conc_mg_l\n\n2,0.52\n,\n24,<0.01\n\n", MEASURED),
    Hostile("comments", "time_h,conc_mg_l\n# drawn again\n2,0.52\n#3,0.4\n24,<0.01\n", MEASURED),
    Hostile(
        "a row marked as left out", "C,time_h,conc_mg_l\n,2,0.52\nC,3,9\n.,24,<0.01\n", MEASURED
    ),
    Hostile(
        "minutes and micrograms by the header",
        "Time (min),Conc (µg/L)\n120,520\n1440,<10\n",
        MEASURED,
    ),
    Hostile("in German", "Zeit (h);Spiegel (µg/mL)\n2;0,52\n24;<0,01\n", MEASURED),
    Hostile("in French", "Temps (heures),Concentration (ng/mL)\n2,520\n24,<10\n", MEASURED),
    Hostile("in Spanish", "Tiempo (min),Concentración (mg/L)\n120,0.52\n1440,<0.01\n", MEASURED),
    Hostile("units in a column", "time_h,conc,unit\n2,520,ng/mL\n24,<0.01,mg/L\n", MEASURED),
    Hostile("units in the cells", "time_h,conc\n2,520 ng/mL\n24,<10 ng/mL\n", MEASURED),
    Hostile(
        "dates with midnight behind them",
        "date,time,conc_mg_l\n2026-01-14 00:00:00,10:30,0.52\n2026-01-15 00:00:00,08:30,<0.01\n",
        MEASURED,
    ),
    Hostile(
        "day first by the name of the column",
        "DAT1,TIME,conc_mg_l\n14/01/2026,10:30,0.52\n15/01/2026,08:30,<0.01\n",
        MEASURED,
    ),
    Hostile(
        "other columns are no matter",
        "time_h,conc_mg_l,WT,ward\n2,0.52,20,3\n24,<0.01,20,3\n",
        MEASURED,
    ),
    Hostile("one ID in all rows", "ID,time_h,conc_mg_l\n7,2,0.52\n7,24,<0.01\n", MEASURED),
    Hostile("a mark nobody knows", "time_h,conc_mg_l,blq\n2,0.52,maybe\n", "BLQ or CENS is 1"),
    Hostile("below no limit", "time_h,conc_mg_l,blq\n2,.,1\n", "below which limit?"),
    Hostile(
        "below its own limit",
        "time_h,conc_mg_l,lloq\n2,0.005,0.01\n",
        "is below its limit of quantification",
    ),
    Hostile(
        "a mark against the cell",
        "time_h,conc_mg_l,blq\n2,<0.01,0\n",
        "but the mark says it was measured",
    ),
    Hostile(
        "two limits",
        "time_h,conc_mg_l,lloq\n2,<0.02,0.01\n",
        "but its limit of quantification is 0.01",
    ),
    Hostile("above the upper limit", "time_h,conc_mg_l\n2,>2\n", "above the upper limit"),
    Hostile(
        "above a limit in a column", "time_h,conc_mg_l,ULOQ\n2,2.5,2\n", "above the upper limit"
    ),
    Hostile("censored on the right", "time_h,conc_mg_l,CENS\n2,2,-1\n", "above the upper limit"),
    Hostile(
        "detected or done", "time_h,conc_mg_l\n2,ND\n", "either not measured or below the limit"
    ),
    Hostile(
        "two patients", "ID,time_h,conc_mg_l\n1,2,0.52\n2,2,0.3\n", "the levels are of 2 patients"
    ),
    Hostile(
        "a column that is not read tells another analyte",
        "time_h,conc_mg_l,Messgröße\n2,0.52,F-ara-A\n2,5,F-ara-ATP\n",
        "Messgröße (not read) tells levels apart: 'F-ara-A', 'F-ara-ATP'",
    ),
    Hostile(
        "a comment on one level",
        "time_h,conc_mg_l,comment\n2,0.52,\n6,0.2,hemolysed\n",
        "take the column comment out of the file",
    ),
    Hostile(
        "a name of an analyte",
        "time_h,conc_mg_l,Component Name\n2,0.52,Busulfan\n",
        "is not one we know",
    ),
    Hostile(
        "our analyte with words around it",
        "time_h,conc_mg_l,Component\n2,0.52,Fludarabine level (plasma)\n"
        "24,<0.01,Fludarabine level (plasma)\n",
        MEASURED,
    ),
    Hostile(
        "when and by whom is no matter",
        "time_h,conc_mg_l,Timepoint,Drawn by,Sample\n2,0.52,peak,AB,S001\n24,<0.01,trough,CD,S2\n",
        MEASURED,
    ),
    Hostile(
        "numbers of two patients beside an ID",
        "ID,MRN,time_h,conc_mg_l\n1,4711,2,0.52\n1,4712,24,<0.01\n",
        "MRN (patient) tells levels apart: '4711', '4712'",
    ),
    Hostile(
        "patients without the word ID",
        "Patient,time_h,conc_mg_l\n7,2,0.52\n8,24,<0.01\n",
        "the levels are of 2 patients",
    ),
    Hostile("at most the limit", "time_h,conc_mg_l\n2,0.52\n24,<=0.01\n", MEASURED),
    Hostile(
        "another unit in a column of the laboratory",
        "time_h,conc_mg_l,Result Unit\n2,1.82,µmol/L\n",
        "but conc_mg_l is in mg/L",
    ),
    Hostile("two columns of one name", "time_h,conc_mg_l,conc_mg_l\n2,0.52,0.3\n", "leave one out"),
    Hostile("two columns of levels", "time_h,conc_mg_l,conc_ng_ml\n2,0.52,300\n", "leave one out"),
    Hostile("two analytes", "time_h,conc_mg_l,DVID\n2,0.52,1\n2,0.3,2\n", "tells levels apart"),
    Hostile("another analyte", "time_h,conc_mg_l,ANALYTE\n2,0.52,busulfan\n", "is not one we know"),
    Hostile("urine", "time_h,conc_mg_l,matrix\n2,0.52,urine\n", "is not one we know"),
    Hostile("a dose among levels", "time_h,conc_mg_l,AMT\n0,.,24\n2,0.52,0\n", "this is a dose"),
    Hostile("logarithms", "time_h,LNDV\n2,-0.65\n", "logarithms"),
    Hostile("a date without its time", "time,conc_mg_l\n2026-01-15,0.52\n", "has no clock time"),
    Hostile(
        "a date that became midnight", "time,conc_mg_l\n2026-01-15 00:00:00,0.52\n", "midnight"
    ),
    Hostile(
        "hours beside a date", "date,time_h,conc_mg_l\n2026-01-15,10.5,0.52\n", "is no clock time"
    ),
    Hostile("day or month first", "DATE,TIME,conc_mg_l\n01/02/2026,10:30,0.52\n", "is ambiguous"),
    Hostile("no levels", "time_h,conc_mg_l\n", "no level below the header"),
    Hostile("no header", "2,0.52\n24,0.03\n", "needs the columns"),
    Hostile("a cell too many", "time_h,conc_mg_l\n2,0.52,9\n", "3 cells, but the header has 2"),
)


# --- doses of records: "start+length: mg phosphate" ----------------------------------------------

HEAD: Final = "ID,AGE,WT,HT,EGFR"
TWO: Final = "= 0+0.5: 20; 24+0.5: 20"


def records(columns: str, *rows: str) -> str:
    """Records of one child, each with its covariates before it."""
    return "\n".join([f"{HEAD},{columns}", *(f"1,{GIRL},{row}" for row in rows)]) + "\n"


DOSES: Final = (
    Hostile("plain", records("TIME,AMT,RATE,EVID", "0,20,40,1", "24,20,40,1"), TWO),
    Hostile("no EVID", records("TIME,AMT,RATE", "0,20,40", "12,.,.", "24,20,40"), TWO),
    Hostile("durations in h", records("TIME,AMT,DUR", "0,20,0.5", "24,20,0.5"), TWO),
    Hostile(
        "Monolix",
        records("TIME,AMT,TINF,Y,CENS", "0,20,0.5,.,.", "2,.,.,0.5,0", "24,20,0.5,.,."),
        TWO,
    ),
    Hostile(
        "durations in min by the name",
        records("TIME,AMT,DUR_MIN,EVID", "0,20,30,1", "24,20,30,1"),
        TWO,
    ),
    Hostile(
        "minutes by the name", records("TIME_MIN,AMT,RATE,EVID", "0,20,40,1", "1440,20,40,1"), TWO
    ),
    Hostile("ADDL and II", records("TIME,AMT,RATE,EVID,ADDL,II", "0,20,40,1,1,24"), TWO),
    Hostile(
        "DATE and TIME",
        records("DATE,TIME,AMT,RATE,EVID", "2026-01-14,08:30,20,40,1", "2026-01-15,08:30,20,40,1"),
        TWO,
    ),
    Hostile(
        "DAT2 and TIME",
        records("DAT2,TIME,AMT,RATE,EVID", "2026/01/14,08:30,20,40,1", "2026/01/15,08:30,20,40,1"),
        TWO,
    ),
    Hostile(
        "date and time in one",
        records("TIME,AMT,RATE,EVID", "2026-01-14 08:30,20,40,1", "2026-01-15 08:30,20,40,1"),
        TWO,
    ),
    Hostile(
        "pandas writes 1.0",
        records("TIME,AMT,RATE,EVID,MDV", "0.0,20.0,40.0,1.0,1.0", "24.0,20.0,40.0,1.0,1.0"),
        TWO,
    ),
    Hostile(
        "DOSE_MG as phosphate beside AMT as F-ara-A",
        records("TIME,AMT,RATE,EVID,DOSE_MG", "0,15.62,31.24,1,20", "24,15.62,31.24,1,20"),
        TWO,
    ),
    Hostile("DOSE_MG alone", records("TIME,DOSE_MG,DUR", "0,20,0.5", "24,20,0.5"), TWO),
    Hostile(
        "a compartment for all",
        records("TIME,AMT,RATE,EVID,CMT", "0,20,40,1,1", "24,20,40,1,1"),
        TWO,
    ),
    Hostile(
        "occasions dose by dose",
        records("TIME,AMT,RATE,EVID,OCC", "0,20,40,1,1", "24,20,40,1,2"),
        TWO,
    ),
    Hostile(
        "comments and blank rows",
        records("TIME,AMT,RATE,EVID", "0,20,40,1", "24,20,40,1")
        + "\n#1,6,20,118,110,48,20,40,1\n,,,,,,,,\n",
        TWO,
    ),
    Hostile(
        "a level marked as left out",
        records("C,TIME,AMT,RATE,EVID", ",0,20,40,1", "C,2,.,.,0", ",24,20,40,1"),
        TWO,
    ),
    Hostile(
        "a dose marked as left out",
        records("C,TIME,AMT,RATE,EVID", ",0,20,40,1", "C,24,20,40,1"),
        "on a dose: was it given?",
    ),
    Hostile(
        "minutes", records("TIME,AMT,RATE,EVID", "0,20,40,1", "1440,20,40,1"), "are these minutes?"
    ),
    Hostile(
        "days", records("TIME,AMT,RATE,EVID", "0,9,18,1", "1,9,18,1", "2,9,18,1"), "are these days?"
    ),
    Hostile(
        "RATE in mg/min",
        records("TIME,AMT,RATE,EVID", "0,20,0.6667,1", "24,20,0.6667,1"),
        "infusion 1 takes 29.9985 h",
    ),
    Hostile(
        "DUR in min",
        records("TIME,AMT,DUR,EVID", "0,20,30,1", "24,20,30,1"),
        "Call the column DUR_MIN",
    ),
    Hostile(
        "RATE against DUR",
        records("TIME,AMT,RATE,DUR,EVID", "0,20,40,1,1"),
        "leave the wrong one out",
    ),
    Hostile(
        "a rate to be estimated",
        records("TIME,AMT,RATE,EVID", "0,20,-2,1"),
        "a model would estimate it",
    ),
    Hostile(
        "micrograms",
        records("TIME,AMT,RATE,EVID", "0,20000,40000,1"),
        "is this µg? Write mg",
    ),
    Hostile(
        "grams",
        records("TIME,AMT,DUR,EVID", "0,0.02,0.5,1"),
        "is this g? Write mg",
    ),
    Hostile(
        "a dose that was not given, in a column that is not read",
        records("TIME,AMT,RATE,EVID,MAR Action", "0,20,40,1,Given", "24,20,40,1,Not Given"),
        "MAR Action (not read) tells doses apart: 'Given', 'Not Given'",
    ),
    Hostile(
        "another drug's dose in a column of another language",
        records("TIME,AMT,RATE,EVID,Arznei", "0,20,40,1,Fludarabin", "24,20,40,1,Endoxan"),
        "if they are, leave it out by",
    ),
    Hostile(
        "the text of doses and levels may differ",
        records(
            "TIME,AMT,RATE,EVID,EVENT,VISIT",
            "0,20,40,1,dose,a",
            "2,.,.,0,obs,b",
            "24,20,40,1,dose,c",
        ),
        TWO,
    ),
    Hostile(
        "an ID only in the first of merged cells",
        records("TIME,AMT,RATE,EVID", "0,20,40,1") + ",,,,,24,20,40,1\n",
        "the ID is empty in some records, and '1' in others",
    ),
    Hostile(
        "an ID in two ways",
        records("TIME,AMT,RATE,EVID", "0,20,40,1") + f"1.0,{GIRL},24,20,40,1\n",
        "'1' and '1.0' may be one ID",
    ),
    Hostile(
        "a column of units says mg/m2",
        records("TIME,AMT,UNIT,DUR,EVID", "0,30,mg/m2,0.5,1"),
        "UNIT = mg/m2 is not used here: write amounts in mg",
    ),
    Hostile(
        "a column of units says minutes",
        records("TIME,AMT,DUR,DUR_UNIT,EVID", "0,20,15,min,1"),
        "DUR_UNIT = min is not used here",
    ),
    Hostile(
        "a depot",
        records("TIME,AMT,RATE,EVID,CMT", "0,20,40,1,depot"),
        "CMT = 'depot'",
    ),
    Hostile(
        "a route with more words",
        records("TIME,AMT,RATE,EVID,Route of administration", "0,20,40,1,oral"),
        "is not one we know",
    ),
    Hostile("a bolus", records("TIME,AMT,EVID", "0,20,1"), "fludarabine is infused"),
    Hostile(
        "steady state", records("TIME,AMT,RATE,EVID,SS,II", "0,20,40,1,1,24"), "SS = 1 is not used"
    ),
    Hostile(
        "a reset",
        records("TIME,AMT,RATE,EVID", "0,20,40,1", "0,20,40,4"),
        "a reset begins another course",
    ),
    Hostile(
        "TIME goes backwards",
        records("TIME,AMT,RATE,EVID", "0,20,40,1", "30,.,.,0", "24,20,40,1"),
        "goes backwards",
    ),
    Hostile(
        "two cycles in one ID",
        records("TIME,AMT,RATE,EVID,CYCLE", "0,20,40,1,1", "300,20,40,1,2"),
        "tells 2 courses of one ID apart",
    ),
    Hostile(
        "28 days later",
        records("TIME,AMT,RATE,EVID", "0,20,40,1", "672,20,40,1"),
        "another course have an ID of their own",
    ),
    Hostile(
        "another drug's dose by CMT",
        records("TIME,AMT,RATE,EVID,CMT", "0,20,40,1,1", "1,400,400,1,2"),
        "tells doses apart",
    ),
    Hostile(
        "another drug's dose by name",
        records("TIME,AMT,RATE,EVID,DRUG", "0,20,40,1,fludarabine", "1,400,400,1,cyclophosphamide"),
        "tells doses apart",
    ),
    Hostile(
        "another drug alone",
        records("TIME,AMT,RATE,EVID,DRUG", "0,400,400,1,cyclophosphamide"),
        "is not one we know",
    ),
    Hostile(
        "DOSE_MG against AMT",
        records("TIME,AMT,RATE,EVID,DOSE_MG", "0,20,40,1,40"),
        "leave the wrong one out",
    ),
    Hostile(
        "hours beside a date",
        records("DATE,TIME,AMT,RATE,EVID", "2026-01-14,8.5,20,40,1"),
        "is no clock time",
    ),
    Hostile(
        "a time of day without date",
        records("TIME,AMT,RATE,EVID", "08:30,20,40,1"),
        "is a time of day without its date",
    ),
    Hostile(
        "all midnight",
        records("DATE,AMT,RATE,EVID", "2026-01-14 00:00,20,40,1", "2026-01-15 00:00,20,40,1"),
        "midnight",
    ),
    Hostile(
        "hours and dates",
        records("TIME,AMT,RATE,EVID", "0,20,40,1", "2026-01-15 08:30,20,40,1"),
        "in one way",
    ),
    Hostile("two times", records("TIME,TIME_H,AMT,RATE,EVID", "0,0,20,40,1"), "are all time"),
    Hostile(
        "amounts in a unit of their own",
        records("TIME,AMT,RATE,EVID,AMTU", "0,20000,40000,1,ug"),
        "AMTU = ug is not used",
    ),
    Hostile(
        "half is absorbed",
        records("TIME,AMT,RATE,EVID,F1", "0,20,40,1,0.5"),
        "F1 = 0.5 is not used",
    ),
    Hostile("EVID is missing", records("TIME,AMT,RATE,EVID", "0,20,40,"), "EVID is missing"),
    Hostile("no doses at all", records("TIME,CONC", "0,0.5", "2,0.3"), "AMT or DOSE_MG"),
    Hostile("ADDL without II", records("TIME,AMT,RATE,EVID,ADDL", "0,20,40,1,3"), "without II"),
)


# --- levels of records: "hours conc", in mg/L ----------------------------------------------------

DOSE: Final = "0,20,40,1"
BOTH: Final = "= 2 0.5; 23 <0.01"


def levels(columns: str, *rows: str, dose: str = "") -> str:
    """Records of one child with a dose, and columns of levels behind those of doses."""
    blank = dose or "," * columns.count(",")
    return records(f"TIME,AMT,RATE,EVID,{columns}", f"{DOSE},{blank}", *rows)


EVALUATED: Final = (
    Hostile("plain", levels("DV,BLQ,LLOQ", "2,.,.,0,0.5,0,0.01", "23,.,.,0,.,1,0.01"), BOTH),
    Hostile("CENS", levels("DV,CENS", "2,.,.,0,0.5,0", "23,.,.,0,0.01,1"), BOTH),
    Hostile(
        "BQL as TRUE", levels("DV,BQL,LLOQ", "2,.,.,0,0.5,FALSE,0.01", "23,.,.,0,.,TRUE,0.01"), BOTH
    ),
    Hostile("the limit in the cell", levels("DV", "2,.,.,0,0.5", "23,.,.,0,<0.01"), BOTH),
    Hostile(
        "MDV leaves out",
        levels("DV,MDV", "2,.,.,0,0.5,0", "3,.,.,0,9,1", "23,.,.,0,<0.01,0", dose=".,1"),
        BOTH,
    ),
    Hostile("C leaves out", levels("C,DV", "2,.,.,0,,0.5", "3,.,.,0,C,9", "23,.,.,0,,<0.01"), BOTH),
    Hostile(
        "one analyte", levels("DV,DVID", "2,.,.,0,0.5,1", "23,.,.,0,<0.01,1", dose=".,0"), BOTH
    ),
    Hostile("no EVID", records("TIME,AMT,RATE,DV", "0,20,40,.", "2,.,.,0.5", "23,.,.,<0.01"), BOTH),
    Hostile(
        "a trough in the occasion before",
        levels("DV,OCC", "2,.,.,0,0.5,1", "23,.,.,0,<0.01,1", "24,20,40,1,.,2", dose=".,1"),
        BOTH,
    ),
    Hostile(
        "two analytes by DVID",
        levels("DV,DVID", "2,.,.,0,0.5,1", "2,.,.,0,1.5,2"),
        "tells levels apart",
    ),
    Hostile(
        "two analytes by CMT",
        levels("DV,CMT", "2,.,.,0,0.5,1", "2,.,.,0,1.5,3"),
        "tells levels apart",
    ),
    Hostile(
        "two analytes by YTYPE",
        levels("DV,YTYPE", "2,.,.,0,0.5,1", "2,.,.,0,1.5,2"),
        "tells levels apart",
    ),
    Hostile(
        "rows of two kinds by FLAG",
        levels("DV,FLAG", "2,.,.,0,0.5,0", "2,.,.,0,1.5,1"),
        "tells levels apart",
    ),
    Hostile(
        "a comment on one level of a patient",
        levels("DV,COMMENT", "2,.,.,0,0.5,", "23,.,.,0,<0.01,clotted"),
        "COMMENT (not read) tells levels apart: '(empty)', 'clotted'",
    ),
    Hostile(
        "a comment on all levels",
        levels("DV,COMMENT", "2,.,.,0,0.5,ok", "23,.,.,0,<0.01,ok"),
        BOTH,
    ),
    Hostile("censored on the right", levels("DV,CENS", "2,.,.,0,0.5,-1"), "above the upper limit"),
    Hostile("above ULOQ", levels("DV,ULOQ", "2,.,.,0,2.5,2"), "above the upper limit"),
    Hostile("an interval", levels("DV,CENS,LIMIT", "2,.,.,0,0.5,1,0.2"), "LIMIT = 0.2 is not used"),
    Hostile("logarithms alone", levels("LNDV", "2,.,.,0,-0.69"), "logarithms"),
    Hostile("negative levels", levels("DV", "2,.,.,0,-0.69"), "are the levels logarithms?"),
    Hostile("a level on a dose", levels("DV", "24,20,40,1,0.03"), "on a dose"),
    Hostile(
        "a level in minutes",
        levels("DV", "120,.,.,0,0.5", "1440,.,.,0,<0.01"),
        "is TIME in minutes?",
    ),
    Hostile(
        "occasions not dose by dose",
        levels("DV,OCC", "2,.,.,0,0.5,1", "3,.,.,0,0.4,2", dose=".,1"),
        "not dose by dose",
    ),
    Hostile("TIME goes backwards", levels("DV", "5,.,.,0,0.2", "2,.,.,0,0.5"), "goes backwards"),
)
