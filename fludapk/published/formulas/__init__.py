"""Published formulas of body size and kidney function: one function for one formula."""

# In the order in which they are offered to choose from.
from fludapk.published.formulas.registry import FORMULAS, Formula
from fludapk.published.formulas.body_size import (
    adjusted_weight,
    al_sallami,
    devine,
    du_bois,
    gehan_george,
    haycock,
    janmahasatian,
    mosteller,
    normal_fat_mass,
    postmenstrual_age,
)
from fludapk.published.formulas.egfr_by_height import ckid_u25, schwartz_bedside, schwartz_original
from fludapk.published.formulas.egfr_by_age import (
    ckd_epi_2009,
    ckd_epi_2021,
    ekfc,
    ekfc_q,
    fas,
    fas_q,
    mdrd,
)
from fludapk.published.formulas.clearance import (
    capped_by_knots,
    cockcroft_gault,
    deindex_gfr,
    egfr_l_h,
    gfr_l_h_per_70kg,
    index_gfr,
)
from fludapk.published.formulas.growth import lms_value, lms_zscore, modified_zscore

__all__ = [
    "FORMULAS",
    "Formula",
    "adjusted_weight",
    "al_sallami",
    "capped_by_knots",
    "ckd_epi_2009",
    "ckd_epi_2021",
    "ckid_u25",
    "cockcroft_gault",
    "deindex_gfr",
    "devine",
    "du_bois",
    "egfr_l_h",
    "ekfc",
    "ekfc_q",
    "fas",
    "fas_q",
    "gehan_george",
    "gfr_l_h_per_70kg",
    "haycock",
    "index_gfr",
    "janmahasatian",
    "lms_value",
    "lms_zscore",
    "mdrd",
    "modified_zscore",
    "mosteller",
    "normal_fat_mass",
    "postmenstrual_age",
    "schwartz_bedside",
    "schwartz_original",
]
