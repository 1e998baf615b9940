from tests.features.impersonation.tools import make_site as make_site
from tests.features.impersonation.tools import site as site
