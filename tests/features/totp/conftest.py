from tests.features.mfa.tools import ann as ann
