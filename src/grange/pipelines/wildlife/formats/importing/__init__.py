"""Results of other programs, told apart and read as ours."""

from grange.pipelines.wildlife.formats.importing.opening import DIALECTS, import_results

__all__ = ["DIALECTS", "import_results"]
