"""Host apps that show flask_accounts at work."""
